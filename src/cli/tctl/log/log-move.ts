import { CodedError, isCoded } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log-sink.ts';
import type { Cause } from '../../../log/event.ts';
import { storeKeysInUse } from '../../../log/keys-in-store.ts';
import { type Moved, moveLog as move, type MoveOptions, type MoveStep } from '../../../log/move.ts';
import { takeBack } from '../../../log/take-back.ts';
import type { Configuration } from '../../../process/configuration/configuration.ts';
import { keyringForMacs } from '../../../process/store/open-keyring.ts';
import { readStorage } from '../../../process/configuration/storage-file.ts';
import { placeOf, type StorageLocation } from '../../../process/configuration/storage-schema.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { confirm } from '../../confirm.ts';
import { configurationOf } from '../connect.ts';
import { figures, partitionLines } from './log-figures.ts';
import { lookAhead, type LookedAt, requireRoomAt } from './log-move-plan.ts';
import { requireLog, withStores } from './log-stores.ts';

interface Ends {
  readonly configuration: Configuration;
  readonly source: StorageLocation;
  readonly target: StorageLocation;
}

/**
 * `tctl log move --to <storage>`: moves the log of the configuration, after it has checked both stores,
 * printed what it will do, and asked. `--take-back`: the log continues at its old place.
 */
export async function moveLog(invocation: Invocation, io: CliIo): Promise<number> {
  const target = targetOf(invocation);
  const configuration = configurationOf(invocation, io);
  const source = configuration.storage;
  await requireLog(source, io);
  if (target === undefined || invocation.on('take-back')) {
    if (target !== undefined) await requireLog(target, io);
    return goBack({ configuration, source, target }, io);
  }
  const ends = { configuration, source, target };
  const storeKeys = invocation.on('with-store-keys');
  const found = await lookAhead({ source, target, storeKeys }, io);
  for (const line of planLines(ends, found)) io.stdout.write(`${line}\n`);
  if (invocation.on('dry-run')) {
    io.stdout.write('dry run: nothing was changed\n');
    return 0;
  }
  if (found.stage !== 'is done') await confirm(io, 'Move the log?', invocation.on('yes'));
  return goOn({ ...ends, found }, storeKeys, io);
}

/** Undefined: it is lost. @throws CodedError `bad_request` for flags that do not go together. */
function targetOf(invocation: Invocation): StorageLocation | undefined {
  const back = invocation.on('take-back');
  if (invocation.on('force') && !back) throw new CodedError('bad_request', '--force belongs to --take-back');
  if (back && invocation.on('dry-run'))
    throw new CodedError('bad_request', '--dry-run does not go with --take-back');
  if (invocation.on('force')) return undefined;
  const given = invocation.text('to');
  if (given === undefined) throw new CodedError('bad_request', 'required flag --to not provided');
  return readStorage(given).location;
}

function planLines({ source, target }: Ends, { stage, lines }: LookedAt): string[] {
  const [from, to] = [placeOf(source), placeOf(target)];
  if (stage === 'is done') return [];
  return [
    `${stage === 'begins' ? 'moves' : 'goes on moving'} the log from ${from} to ${to}`,
    ...lines,
    `from the end of the copy on nobody appends to ${from}: every auth server refuses what is new until its storage is ${to}`,
    `until something is written there the move can be taken back: tctl log move --to=… --take-back`,
  ];
}

const causeOf = (io: CliIo): Cause => ({
  at: io.world.now(),
  actor: 'admin',
  requestId: io.world.uuid(),
});

function goOn(
  { configuration, source, target, found }: Ends & { readonly found: LookedAt },
  storeKeys: boolean,
  io: CliIo,
): Promise<number> {
  const [from, to] = [placeOf(source), placeOf(target)];
  return withStores([source, target], io, async ([source_, target_]) => {
    if (source_ === undefined || target_ === undefined) throw new Error('bug: both were opened');
    // Printed before anything is written.
    if (storeKeys && (await storeKeysInUse(source_)).length > 0)
      io.stderr.write(
        `warning: the keys stored in ${from} are copied too: whoever reads ${to} has every secret of the cluster\n`,
      );
    if (found.stage === 'begins') await requireRoomAt(target_, found.bytes, to);
    const keyring = await keyringForMacs(configuration, {
      store: source_,
      world: io.world,
      sink: silentLog,
    });
    const began = performance.now();
    const moved = await moveAndTell(
      { source: source_, target: target_, from, to, world: io.world, keyring, storeKeys, cause: causeOf(io) },
      io,
    );
    for (const line of movedLines(moved, performance.now() - began)) io.stdout.write(`${line}\n`);
    io.stdout.write(`Point storage of every auth server at ${to}, with the same keys, and restart it.\n`);
    io.stdout.write(`${from} stays as it is: whoever still uses it can read, and appends nothing.\n`);
    return 0;
  });
}

async function moveAndTell(options: Omit<MoveOptions, 'progress'>, io: CliIo): Promise<Moved> {
  let last: MoveStep | undefined;
  const progress = (step: MoveStep): void => {
    last = step;
    io.stdout.write(
      step.status === 'fenced'
        ? 'fenced: nobody appends until the move ends\n'
        : `pass ${step.number}: ${step.slots} slots\n`,
    );
  };
  try {
    return await move({ ...options, progress });
  } catch (e) {
    if (last?.status !== 'fenced' || !isCoded(e)) throw e;
    throw new CodedError(
      e.code,
      `${e.message}\nThe log is fenced: the cluster serves, and takes nothing new. Run the same command again to finish, or with --take-back to go back.`,
      { cause: e },
    );
  }
}

function movedLines(moved: Moved, ms: number): string[] {
  if (moved.status === 'was moved') return ['this log was moved there before'];
  return [
    ...partitionLines(moved.partitions),
    `${moved.dataKeys} data keys`,
    figures(moved.partitions, ms),
    `appends were refused for ${Math.round(moved.fencedMs)} ms`,
  ];
}

function goBack(
  { configuration, source, target }: Omit<Ends, 'target'> & { readonly target: StorageLocation | undefined },
  io: CliIo,
): Promise<number> {
  return withStores([source, ...(target ? [target] : [])], io, async ([from, to]) => {
    if (from === undefined) throw new Error('bug: the source was opened');
    const keyring = await keyringForMacs(configuration, { store: from, world: io.world, sink: silentLog });
    const taken = await takeBack({ source: from, target: to, world: io.world, keyring, cause: causeOf(io) });
    io.stdout.write(
      `the log goes on in ${placeOf(source)}${taken === 'after it ended' ? ': nothing had been written at the new store' : ''}\n` +
        'The new store is closed for good. What was copied there cannot be used any more: empty that store, or name another one next time.\n',
    );
    if (taken === 'after it ended')
      io.stdout.write(
        `Point storage of every auth server that was changed at ${placeOf(source)} again, and restart it.\n`,
      );
    return 0;
  });
}

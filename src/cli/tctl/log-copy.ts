import { CodedError, isCoded } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import { abortCopy, type Copied, copyLog as copy, type CopyStep } from '../../log/copy.ts';
import type { Cause } from '../../log/event.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import type { Keyring } from '../../log/keyring.ts';
import { storeKeysInUse } from '../../log/keys-in-store.ts';
import { openBackend, openBackendForReading } from '../../process/open-backend.ts';
import { keyringForMacs } from '../../process/open-keyring.ts';
import { readStorage } from '../../process/storage-file.ts';
import { placeOf, type StorageLocation } from '../../process/storage-schema.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { configurationOf } from './connect.ts';
import { figures, partitionLines } from './log-figures.ts';

/** `tctl log copy --to <storage>`: moves the log of the configuration. With `--abort` gives up a move that did not end. */
export async function copyLog(invocation: Invocation, io: CliIo): Promise<number> {
  const given = invocation.text('to');
  const forced = invocation.on('abort') && invocation.on('force');
  if (invocation.on('force') && !invocation.on('abort'))
    throw new CodedError('bad_request', '--force belongs to --abort');
  if (given === undefined && !forced) throw new CodedError('bad_request', 'required flag --to not provided');
  const configuration = configurationOf(invocation, io);
  const source = configuration.storage;
  const target = given === undefined || forced ? undefined : readStorage(given).location;
  // A mistyped path must not become an empty store.
  await (await openBackendForReading(source, { sink: silentLog, world: io.world })).close();
  return withStores([source, ...(target ? [target] : [])], io, async ([from, to]) => {
    if (from === undefined) throw new Error('the source was opened');
    const cause: Cause = { at: io.world.now(), actor: 'admin', requestId: io.world.uuid() };
    const env = { store: from, world: io.world, sink: silentLog };
    const keyring = await keyringForMacs(configuration, env);
    if (invocation.on('abort')) return giveUp({ source, from, to, keyring, cause }, io);
    if (target === undefined || to === undefined) throw new Error('the target was opened');
    const storeKeys = invocation.on('with-store-keys');
    return move({ source, target, from, to, keyring, storeKeys, cause }, io);
  });
}

interface Move {
  readonly source: StorageLocation;
  readonly target: StorageLocation;
  readonly from: SlotDriver;
  readonly to: SlotDriver;
  readonly keyring: Keyring;
  readonly storeKeys: boolean;
  readonly cause: Cause;
}

async function move(
  { source, target, from, to, keyring, storeKeys, cause }: Move,
  io: CliIo,
): Promise<number> {
  const say = (line: string): boolean => io.stdout.write(`${line}\n`);
  const began = performance.now();
  const steps: CopyStep[] = [];
  const progress = (step: CopyStep): void => {
    steps.push(step);
    say(
      step.status === 'fenced'
        ? 'fenced: nobody appends until the copy ends'
        : `pass ${step.number}: ${step.slots} slots`,
    );
  };
  // Said before anything is written.
  if (storeKeys && (await storeKeysInUse(from)).length > 0)
    io.stderr.write(
      `warning: the keys that lie in ${placeOf(source)} go along: whoever reads ${placeOf(target)} has every secret of the cluster\n`,
    );
  say(`copying from ${placeOf(source)} to ${placeOf(target)}`);
  let copied: Copied;
  try {
    copied = await copy({
      source: from,
      target: to,
      from: placeOf(source),
      to: placeOf(target),
      world: io.world,
      keyring,
      storeKeys,
      cause,
      progress,
    });
  } catch (e) {
    if (steps.at(-1)?.status !== 'fenced' || !isCoded(e)) throw e;
    throw new CodedError(
      e.code,
      `${e.message}\nThe log is fenced: the cluster serves, and takes nothing new. Run the same command again to finish, or with --abort to go back.`,
      { cause: e },
    );
  }
  if (copied.status === 'was copied') say('this log was copied there before');
  else {
    for (const line of partitionLines(copied.partitions)) say(line);
    say(`${copied.dataKeys} data keys`);
    say(figures(copied.partitions, performance.now() - began));
    say(`appends were refused for ${Math.round(copied.fencedMs)} ms`);
  }
  say(`Point storage of every auth server at ${placeOf(target)}, with the same keys, and restart it.`);
  say(`${placeOf(source)} stays as it is: whoever still uses it can read, and appends nothing.`);
  return 0;
}

async function giveUp(
  {
    source,
    from,
    to,
    keyring,
    cause,
  }: Pick<Move, 'source' | 'from' | 'keyring' | 'cause'> & { readonly to: SlotDriver | undefined },
  io: CliIo,
): Promise<number> {
  await abortCopy({ source: from, target: to, world: io.world, keyring, cause });
  io.stdout.write(
    `the log goes on in ${placeOf(source)}\nWhat was copied is of no more use: empty that store, or name another one the next time.\n`,
  );
  return 0;
}

/** Opens the stores in order, and closes all that it opened. */
async function withStores<T>(
  locations: readonly StorageLocation[],
  io: CliIo,
  act: (drivers: readonly SlotDriver[]) => Promise<T>,
): Promise<T> {
  const drivers: SlotDriver[] = [];
  try {
    for (const one of locations) drivers.push(await openBackend(one, { sink: silentLog, world: io.world }));
    return await act(drivers);
  } finally {
    for (const driver of drivers) await driver.close();
  }
}

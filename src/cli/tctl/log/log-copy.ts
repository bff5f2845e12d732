import { silentLog } from '../../../base/log-sink.ts';
import { copyLog as copy } from '../../../log/copy.ts';
import { storeKeysInUse } from '../../../log/keys-in-store.ts';
import { keyringForMacs } from '../../../process/store/open-keyring.ts';
import { readStorage } from '../../../process/configuration/storage-file.ts';
import { placeOf } from '../../../process/configuration/storage-schema.ts';
import { checkTargetPlace } from '../../../process/store/target-place.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { configurationOf } from '../connect.ts';
import { figures, partitionLines } from './log-figures.ts';
import { requireLog, withStores } from './log-stores.ts';

/** `tctl log copy --to <storage>`: a copy of the log, which continues where it is. */
export async function copyLog(invocation: Invocation, io: CliIo): Promise<number> {
  const configuration = configurationOf(invocation, io);
  const source = configuration.storage;
  const target = readStorage(invocation.text('to') ?? '').location;
  const [from, to] = [placeOf(source), placeOf(target)];
  const storeKeys = invocation.on('with-store-keys');
  const say = (line: string): boolean => io.stdout.write(`${line}\n`);
  await requireLog(source, io);
  checkTargetPlace(target);
  return withStores([source, target], io, async ([source_, target_]) => {
    if (source_ === undefined || target_ === undefined) throw new Error('bug: both were opened');
    if (storeKeys && (await storeKeysInUse(source_)).length > 0)
      io.stderr.write(
        `warning: the keys stored in ${from} are copied too: whoever reads ${to} has every secret of the cluster\n`,
      );
    const keyring = await keyringForMacs(configuration, { store: source_, world: io.world, sink: silentLog });
    say(`copying from ${from} to ${to}: the log goes on in ${from}`);
    const began = performance.now();
    const { partitions, dataKeys } = await copy({
      source: source_,
      target: target_,
      from,
      to,
      world: io.world,
      keyring,
      storeKeys,
      progress: ({ number, slots }) => {
        say(`pass ${number}: ${slots} slots`);
      },
    });
    for (const line of partitionLines(partitions)) say(line);
    say(`${dataKeys} data keys`);
    say(figures(partitions, performance.now() - began));
    say(
      'It is a copy to be read and kept: no auth server opens it. The same command brings it up to date; tctl log promote makes it live.',
    );
    return 0;
  });
}

import { silentLog } from '../../../base/log-sink.ts';
import { promoteCopy, wholeCopy } from '../../../log/copy.ts';
import { keyringForMacs } from '../../../process/store/open-keyring.ts';
import { placeOf } from '../../../process/configuration/storage-schema.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { confirm } from '../../confirm.ts';
import { configurationOf } from '../connect.ts';
import { requireLog, withStores } from './log-stores.ts';

/** `tctl log promote`: the copy in the store of the configuration becomes the log of a live cluster. */
export async function promoteLog(invocation: Invocation, io: CliIo): Promise<number> {
  const configuration = configurationOf(invocation, io);
  const { storage } = configuration;
  const say = (line: string): boolean => io.stdout.write(`${line}\n`);
  await requireLog(storage, io);
  return withStores([storage], io, async ([store]) => {
    if (store === undefined) throw new Error('bug: the store was opened');
    const { from, wholeAt } = await wholeCopy(store);
    say(`${placeOf(storage)} holds a copy of the log of ${from} as of ${wholeAt}`);
    say(
      'what was done since is not in it: whoever was deleted, locked or given less since then has all of it back here',
    );
    say(
      `it has the same authorities and users: while the cluster of ${from} lives, each of the two takes the certificates of the other`,
    );
    await confirm(io, 'Make it a living cluster?', invocation.on('yes'));
    const keyring = await keyringForMacs(configuration, { store, world: io.world, sink: silentLog });
    const cause = { at: io.world.now(), actor: 'admin', requestId: io.world.uuid() };
    await promoteCopy({ store, world: io.world, keyring, cause });
    say(`The log goes on in ${placeOf(storage)}: start the auth servers that have it as their storage.`);
    return 0;
  });
}

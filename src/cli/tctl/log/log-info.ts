import { readLogInfo } from '../../../api/operations/log.ts';
import { isCoded, messageOf } from '../../../base/errors.ts';
import { logInfo } from '../../../log/log-info.ts';
import { openLogForReading } from '../../../process/store/read-log.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { configurationOf, withAuth } from '../connect.ts';
import { type FoundLog, logInfoText } from './log-info-text.ts';

/** `tctl log info`: from an auth server, or from the store itself when none responds. */
export async function showLogInfo(invocation: Invocation, io: CliIo): Promise<number> {
  const found = await findLog(invocation, io);
  io.stdout.write(
    invocation.text('format') === 'json' ? `${JSON.stringify(found, undefined, 2)}\n` : logInfoText(found),
  );
  return 0;
}

async function findLog(invocation: Invocation, io: CliIo): Promise<FoundLog> {
  if (invocation.on('offline')) return fromStore(invocation, io, 'asked for by --offline');
  try {
    const { hostId, ...rest } = await withAuth(invocation, io, (auth) => auth.call(readLogInfo, {}));
    return { source: { kind: 'auth', hostId }, ...rest };
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    // A request sent to the wrong address must not be answered from the store of this machine.
    if (invocation.list('auth-server').length > 0) throw e;
    return fromStore(invocation, io, messageOf(e).split('\n')[0] ?? '');
  }
}

async function fromStore(invocation: Invocation, io: CliIo, reason: string): Promise<FoundLog> {
  const { storage, file } = configurationOf(invocation, io);
  const log = await openLogForReading(storage, io.world, file);
  try {
    const { store, trouble, keys, partitions, outlook, archive } = await logInfo(log);
    return {
      source: { kind: 'store', reason },
      store: { ...store, figures: { ...store.figures } },
      trouble: trouble ?? '',
      outlook,
      archive,
      keys: [...keys],
      partitions: partitions.map((one) => ({ ...one, snapshots: [...one.snapshots] })),
      witnesses: [],
    };
  } finally {
    await log.close();
  }
}

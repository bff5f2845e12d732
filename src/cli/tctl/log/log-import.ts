import { resolve } from 'node:path';
import { CodedError } from '../../../base/errors.ts';
import { silentLog } from '../../../base/log-sink.ts';
import { type Imported, importLog as importFrom } from '../../../log/archive-import.ts';
import { type Archive, openArchive } from '../../../log/archive-read.ts';
import { type ClusterInStore, clusterInStore } from '../../../process/store/cluster-in-store.ts';
import { requireFittingArchive } from '../../../process/store/fitting-store.ts';
import { flagPins } from '../../../process/configuration/join-settings.ts';
import { openBackend } from '../../../process/store/open-backend.ts';
import { readStorage } from '../../../process/configuration/storage-file.ts';
import { placeOf } from '../../../process/configuration/storage-schema.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { configurationOf } from '../connect.ts';
import { figures } from './log-figures.ts';
import { lookingAt } from './log-stores.ts';

/**
 * `tctl log import`: verifies the archive, then puts it into a store, or the part of it that the store lacks.
 * Nothing is replaced: neither the log of another cluster, nor the cluster that this machine belongs to.
 */
export async function importLog(invocation: Invocation, io: CliIo): Promise<number> {
  const given = invocation.text('to');
  const configuration = given === undefined ? configurationOf(invocation, io) : undefined;
  const storage = configuration?.storage ?? readStorage(given ?? '').location;
  const leaveClusters = flagPins('--leave-cluster', invocation.list('leave-cluster'));
  if (configuration === undefined && leaveClusters.length > 0)
    throw new CodedError(
      'bad_request',
      '--leave-cluster belongs to the store of the configuration, not to --to',
    );
  const began = performance.now();
  // Before the store is opened: a bad archive must not leave an empty one behind.
  const file = resolve(invocation.arg('file') ?? '');
  const archive = await openArchive(file);
  try {
    // Only the log of this machine's own cluster, if it belongs to one, may go into the configured store.
    if (configuration !== undefined)
      await requireFittingArchive({ ...configuration, leaveClusters }, archive.driver, file);
    const imported = await clusterInStore(archive.driver, []);
    await lookingAt(storage, io, async (there) => {
      if (there !== undefined) refuseOtherLog(imported, await clusterInStore(there, []), placeOf(storage));
    });
    const target = await openBackend(storage, { sink: silentLog, world: io.world });
    try {
      const done = await importFrom({ archive, target, to: placeOf(storage), world: io.world });
      for (const line of report(done, archive, placeOf(storage), performance.now() - began))
        io.stdout.write(`${line}\n`);
      return 0;
    } finally {
      await target.close();
    }
  } finally {
    await archive.close();
  }
}

/** @throws CodedError `already_exists` */
function refuseOtherLog(imported: ClusterInStore, there: ClusterInStore, place: string): void {
  if (there.status !== 'holds' || imported.status !== 'holds') return;
  if (there.caPins.some((pin) => imported.caPins.includes(pin))) return;
  throw new CodedError(
    'already_exists',
    `${place} holds the log of cluster ${named(there)}, and the archive that of cluster ${named(imported)}: nothing was changed. Name an empty store`,
  );
}

/** `"example" (CA pin sha256:0123…)`. */
const named = ({ clusterName, caPins }: Extract<ClusterInStore, { status: 'holds' }>): string =>
  `${JSON.stringify(clusterName)} (CA pin ${caPins[0] ?? ''})`;

function report(done: Imported, { header, end }: Archive, place: string, ms: number): string[] {
  const verified = `verified ${figures(end.partitions, ms)}`;
  if (done.status === 'nothing')
    return [verified, `${place} holds all of it and may have gone on since: nothing was changed`];
  const lines = done.partitions.map(
    ({ partition, slots }) =>
      `${partition.padEnd(8)} ${slots} slots ${done.status === 'whole' ? 'imported' : 'appended'}`,
  );
  const keys = header.secrets
    ? `${done.dataKeys} data keys: they open with the keyring of the cluster that was exported`
    : 'the archive has no data keys: private keys and passwords in it cannot be opened, and a cluster that needs them will not start';
  const since = `what was revoked or deleted after ${header.exportedAt} is not in it: do that again`;
  return [verified, ...lines, keys, ...(done.status === 'whole' ? [since] : [])];
}

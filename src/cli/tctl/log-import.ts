import { resolve } from 'node:path';
import { silentLog } from '../../base/log-sink.ts';
import { type Imported, importLog as importFrom } from '../../log/archive-import.ts';
import { type Archive, openArchive } from '../../log/archive-read.ts';
import { openBackend } from '../../process/open-backend.ts';
import { readStorage } from '../../process/storage-file.ts';
import { placeOf } from '../../process/storage-schema.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { configurationOf } from './connect.ts';
import { figures } from './log-figures.ts';

/** `tctl log import`: verifies the archive, then puts it into a store, or what the store lacks of it. */
export async function importLog(invocation: Invocation, io: CliIo): Promise<number> {
  const given = invocation.text('to');
  const storage = given === undefined ? configurationOf(invocation, io).storage : readStorage(given).location;
  const began = performance.now();
  // Before the store is opened: a bad archive must not leave an empty one behind.
  const archive = await openArchive(resolve(invocation.arg('file') ?? ''));
  try {
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

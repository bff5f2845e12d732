import { resolve } from 'node:path';
import { silentLog } from '../../base/log-sink.ts';
import { isArchive, openArchive } from '../../log/archive-read.ts';
import { verifyLog as verify } from '../../log/verify.ts';
import { openBackendForReading } from '../../process/open-backend.ts';
import { placeOf, type StorageLocation } from '../../process/storage-schema.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { ExitStatus } from '../errors.ts';
import { configurationOf } from './connect.ts';

/** `tctl log verify`, of a store or of an exported file: exits 1 when a batch is not what was written, naming the first. */
export async function verifyLog(invocation: Invocation, io: CliIo): Promise<number> {
  const given = invocation.arg('directory');
  const storage: StorageLocation =
    given === undefined ? configurationOf(invocation, io).storage : { type: 'dir', path: resolve(given) };
  const driver =
    storage.type === 'dir' && (await isArchive(storage.path))
      ? (await openArchive(storage.path)).driver
      : await openBackendForReading(storage, { sink: silentLog, world: io.world });
  try {
    const { partitions, bad } = await verify(driver);
    for (const { partition, firstSlot, lastSlot, events } of partitions)
      io.stdout.write(`${partition.padEnd(8)} slots ${firstSlot} to ${lastSlot}, ${events} events\n`);
    if (bad !== undefined)
      throw new ExitStatus(1, `${placeOf(storage)}: ${bad.partition}, slot ${bad.slot}: ${bad.reason}`);
    io.stdout.write('ok\n');
    return 0;
  } finally {
    await driver.close();
  }
}

import { resolve } from 'node:path';
import { verifyLog as verify } from '../../log/verify.ts';
import { openBackendForReading } from '../../process/open-backend.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { ExitStatus } from '../errors.ts';
import { configurationOf } from './connect.ts';

/** `tctl log verify`: exits 1 when a batch is not what was written, naming the first. */
export async function verifyLog(invocation: Invocation, io: CliIo): Promise<number> {
  const given = invocation.arg('directory');
  const storagePath = given === undefined ? configurationOf(invocation, io).storagePath : resolve(given);
  const driver = await openBackendForReading({ storagePath });
  try {
    const { partitions, bad } = await verify(driver);
    for (const { partition, firstSlot, lastSlot, events } of partitions)
      io.stdout.write(`${partition.padEnd(8)} slots ${firstSlot} to ${lastSlot}, ${events} events\n`);
    if (bad !== undefined)
      throw new ExitStatus(1, `${storagePath}: ${bad.partition}, slot ${bad.slot}: ${bad.reason}`);
    io.stdout.write('ok\n');
    return 0;
  } finally {
    await driver.close();
  }
}

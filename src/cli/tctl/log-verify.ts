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
    for (const report of await verify(driver)) {
      if (report.status === 'damaged') {
        throw new ExitStatus(1, `${storagePath}: ${report.partition} slot ${report.slot}: ${report.reason}`);
      }
      io.stdout.write(
        `${report.partition} ${report.batches} batches, ${report.events} events, head ${report.head}\n`,
      );
    }
    io.stdout.write('ok\n');
    return 0;
  } finally {
    await driver.close();
  }
}

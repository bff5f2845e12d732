/*
 * A program for the tests beside it: follows `audit` from its beginning up to a position, and prints what it
 * counted.
 */
import { lastValueFrom, takeWhile, tap } from 'rxjs';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { noKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { openDirectoryReader } from './open.ts';

const [path = '', upTo = '0'] = process.argv.slice(2);
const log = await openLog({
  driver: await openDirectoryReader({ path }),
  keyring: noKeyring,
  world: realWorld,
  writer: 'reader',
  sink: silentLog,
});
let count = 0;
await lastValueFrom(
  log.audit.follow(0).pipe(
    tap(() => count++),
    takeWhile((event) => event.position < Number(upTo)),
  ),
  { defaultValue: undefined },
);
await log.close();
console.log(`read ${count}`);

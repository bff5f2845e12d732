/*
 * A program for the tests beside it: appends to a directory store as fast as it can until it is killed, and prints
 * `acknowledged <stream> <revision>` after each append that was. Arguments: directory, name of this writer, streams.
 */
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { openDirectoryDriver } from './open.ts';

const [path = '', name = '', streams = '1'] = process.argv.slice(2);
const log = await openLog({
  driver: await openDirectoryDriver({ path }),
  keyring: sharedTestKeyring,
  world: realWorld,
  writer: name,
  sink: silentLog,
});

async function write(stream: `w-${string}`): Promise<never> {
  for (let revision = await log.state.revision(stream); ;) {
    const n = revision + 1;
    const facts = [{ type: 'trial.happened', data: { n, text: 'x'.repeat(200) } }];
    await log.state.append([{ stream, expected: revision, facts }], {
      at: realWorld.now(),
      actor: `user:${name}`,
      requestId: 'r1',
    });
    revision = n;
    // Goes on when the line has left this process: what was acknowledged before the kill is known to the test.
    await new Promise((resolve) => process.stdout.write(`acknowledged ${stream} ${n}\n`, resolve));
  }
}

await Promise.all(Array.from({ length: Number(streams) }, (_, i) => write(`w-${name}x${i}`)));

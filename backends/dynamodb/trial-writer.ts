/*
 * A program for the tests: appends to a table as fast as it can until it is killed, and prints
 * `acknowledged <stream> <revision>` after each append that was. Arguments: endpoint, table, name of this writer, streams.
 */
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { openDynamodbDriver } from './open.ts';

const [endpoint = '', tableName = '', name = '', streams = '1'] = process.argv.slice(2);
const log = await openLog({
  driver: await openDynamodbDriver(
    {
      tableName,
      endpoint,
      region: 'eu-central-1',
      accessKey: 'local',
      secretKey: 'local',
      readCapacityUnits: 10,
      writeCapacityUnits: 10,
      billingMode: 'pay_per_request',
      continuousBackups: false,
      pollStreamPeriodMs: 1_000,
      retryPeriodMs: 10_000,
    },
    { sink: silentLog, world: realWorld },
  ),
  keyring: sharedTestKeyring,
  world: realWorld,
  writer: name,
  sink: silentLog,
});

/** On the partition that is spread over several hash keys. */
async function write(stream: `w-${string}`): Promise<never> {
  for (let revision = await log.audit.revision(stream); ;) {
    const n = revision + 1;
    const facts = [{ type: 'trial.happened', data: { n, text: 'x'.repeat(200) } }];
    await log.audit.append([{ stream, expected: revision, facts }], {
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

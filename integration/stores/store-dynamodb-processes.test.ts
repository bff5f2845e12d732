import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seldom, times } from '../../backends/conformance/trial.ts';
import { WriterProcess } from '../../backends/conformance/writer-process.ts';
import { openDynamodbDriver } from '../../backends/dynamodb/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { StreamName } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { type DynamodbEngine, startDynalite } from '../harness/dynamodb-server.ts';

let engine: DynamodbEngine;
beforeAll(async () => {
  engine = await startDynalite();
});
afterAll(() => engine.close());

const options = (): Parameters<typeof openDynamodbDriver>[0] => ({
  tableName: 'processes',
  endpoint: engine.endpoint,
  region: 'eu-central-1',
  accessKey: 'local',
  secretKey: 'local',
  readCapacityUnits: 10,
  writeCapacityUnits: 10,
  billingMode: 'pay_per_request',
  continuousBackups: false,
  pollStreamPeriodMs: 1_000,
  retryPeriodMs: 10_000,
});
/** On the partition that is spread over several hash keys. */
const writer = (name: string): WriterProcess =>
  new WriterProcess({ type: 'dynamodb', partition: 'audit', options: options() }, name);

describe('several processes on one table', () => {
  it('lose and double nothing when writers are killed in mid-append', { timeout: 600_000 }, async () => {
    const acknowledged = new Map<StreamName, number>();
    const survivor = writer('survivor');
    const kills = seldom(3, 5);
    for (let loop = 1; loop <= kills; loop++) {
      const victim = writer(`victim${loop % 2}`);
      await victim.until(20 + ((37 * loop) % 200));
      await victim.kill();
      for (const [stream, revision] of victim.acknowledged) acknowledged.set(stream, revision);
    }
    await survivor.until(times(200));
    await survivor.kill();
    for (const [stream, revision] of survivor.acknowledged) acknowledged.set(stream, revision);

    const driver = await openDynamodbDriver(options(), { sink: silentLog, world: realWorld });
    const log = await openLog({
      driver,
      keyring: sharedTestKeyring,
      world: realWorld,
      writer: 'test',
      sink: silentLog,
    });
    const seen = new Map<StreamName, number>();
    for await (const { stream, fact } of log.audit.history(0)) {
      // Each writer numbers its events: one that was doubled or lost would break the row.
      expect((fact.data as { n: number }).n).toBe((seen.get(stream) ?? 0) + 1);
      seen.set(stream, (seen.get(stream) ?? 0) + 1);
    }
    let total = 0;
    for (const [stream, revision] of acknowledged) {
      total += revision;
      expect(seen.get(stream) ?? 0, stream).toBeGreaterThanOrEqual(revision);
    }
    console.log(`${kills + 1} writers killed, ${total} events acknowledged, 0 lost, 0 doubled`);
    expect((await verifyLog(driver)).bad).toBeUndefined();
    await log.close();
  });
});

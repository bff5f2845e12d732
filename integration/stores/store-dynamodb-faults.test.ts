import {
  CreateTableCommand,
  DescribeTableCommand,
  DynamoDBClient,
  PutItemCommand,
} from '@aws-sdk/client-dynamodb';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { times } from '../../backends/conformance/trial.ts';
import { openDynamodbDriver } from '../../backends/dynamodb/open.ts';
import type { DynamodbOptions } from '../../backends/dynamodb/options.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { startDynamodbEngines } from '../harness/dynamodb-server.ts';
import { type FaultyHttp, faultyHttp } from './faulty-http.ts';
import { appendNext, openTrialLog, startWriters, tallyOf } from './store-writers.ts';

const env = { sink: silentLog, world: realWorld };
const engines = await startDynamodbEngines();
afterAll(async () => {
  for (const engine of engines) await engine.close();
});

describe.each(engines)('on $name:', (engine) => {
  let middle: FaultyHttp;
  const client = new DynamoDBClient({
    region: 'eu-central-1',
    endpoint: engine.endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  afterAll(() => {
    client.destroy();
  });
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    middle.decide(() => 'none');
    for (const close of closers.splice(0).reverse()) await close();
  });

  let count = 0;
  const options = (more: Partial<DynamodbOptions> = {}): DynamodbOptions => ({
    tableName: `faults-${count++}`,
    region: 'eu-central-1',
    endpoint: engine.endpoint,
    accessKey: 'local',
    secretKey: 'local',
    readCapacityUnits: 10,
    writeCapacityUnits: 10,
    billingMode: 'pay_per_request',
    continuousBackups: false,
    pollStreamPeriodMs: 200,
    retryPeriodMs: 10_000,
    ...more,
  });
  /** A log whose requests go through `middle`. */
  async function trialLog(): Promise<ClusterLog> {
    middle = await faultyHttp(engine.endpoint);
    closers.push(() => middle.close());
    const log = await openTrialLog(await openDynamodbDriver(options({ endpoint: middle.endpoint }), env));
    closers.push(() => log.close());
    return log;
  }
  const countsOf = (): string => [...middle.counts].map(([fault, n]) => `${fault} ${n}`).join(', ');

  describe('DynamoDB that throttles', () => {
    it('is waited out: nothing is lost or doubled, and it is counted', { timeout: 180_000 }, async () => {
      const log = await trialLog();
      const writers = startWriters(log, 8);
      const seconds = times(30);
      middle.decide(() => (Math.random() < 0.7 ? 'throttle' : 'none'));
      await delay(seconds * 1_000);
      await writers.stop();
      middle.decide(() => 'none');
      const tally = await tallyOf(log, writers.acknowledged);
      const { figures } = log.store();
      console.log(
        `70 % throttled for ${seconds} s (${countsOf()}): ${JSON.stringify(tally)}, ${writers.failures()} failures told, ${String(figures['throttled_seconds'])} s waited`,
      );
      expect(tally).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0 });
      expect(tally.acknowledged).toBeGreaterThan(20);
      expect(figures['throttled_requests']).toBeGreaterThan(10);
      expect(writers.failures()).toBe(0);
    });
  });

  describe('DynamoDB whose answers are lost', () => {
    it('has written each append once, whatever became of the answer', { timeout: 180_000 }, async () => {
      const log = await trialLog();
      const writers = startWriters(log, 8);
      const faults = ['none', 'error-before', 'error-after', 'cut-after'] as const;
      middle.decide((operation) =>
        operation === 'PutItem' ? (faults[Math.floor(Math.random() * faults.length)] ?? 'none') : 'none',
      );
      await delay(times(4) * 1_000);
      await writers.stop();
      middle.decide(() => 'none');
      const tally = await tallyOf(log, writers.acknowledged);
      console.log(`${countsOf()}: ${JSON.stringify(tally)}, ${log.stats().state.ambiguous} settled`);
      expect(tally).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0 });
      expect(log.stats().state.ambiguous).toBeGreaterThan(5);
    });

    it('is settled when it fell silent after a write', { timeout: 60_000 }, async () => {
      const log = await trialLog();
      let silent = true;
      middle.decide((operation) => {
        if (operation !== 'PutItem' || !silent) return 'none';
        silent = false;
        return 'silence-after';
      });
      await appendNext(log, 'trial-1', 0);
      expect(await log.state.revision('trial-1')).toBe(1);
      expect(log.stats().state.ambiguous).toBe(1);
    });
  });

  describe('a table', () => {
    it('is made once when two begin at the same time', { timeout: 60_000 }, async () => {
      middle = await faultyHttp(engine.endpoint);
      closers.push(() => middle.close());
      const same = options();
      const drivers = await Promise.all([openDynamodbDriver(same, env), openDynamodbDriver(same, env)]);
      for (const driver of drivers) await driver.close();
      const { Table: table } = await client.send(new DescribeTableCommand({ TableName: same.tableName }));
      expect(table?.BillingModeSummary?.BillingMode).toBe('PAY_PER_REQUEST');
    });

    it('has the capacity that was asked for', async () => {
      const asked = options({ billingMode: 'provisioned', readCapacityUnits: 7, writeCapacityUnits: 3 });
      await (await openDynamodbDriver(asked, env)).close();
      const { Table: table } = await client.send(new DescribeTableCommand({ TableName: asked.tableName }));
      expect(table?.ProvisionedThroughput).toMatchObject({ ReadCapacityUnits: 7, WriteCapacityUnits: 3 });
    });

    it('of another form is refused, telling both forms', async () => {
      const other = options();
      await client.send(
        new CreateTableCommand({
          TableName: other.tableName,
          BillingMode: 'PAY_PER_REQUEST',
          KeySchema: [
            { AttributeName: 'HashKey', KeyType: 'HASH' },
            { AttributeName: 'FullPath', KeyType: 'RANGE' },
          ],
          AttributeDefinitions: [
            { AttributeName: 'HashKey', AttributeType: 'S' },
            { AttributeName: 'FullPath', AttributeType: 'S' },
          ],
        }),
      );
      await expect(openDynamodbDriver(other, env)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringMatching(/HashKey S HASH, FullPath S RANGE.*p S HASH, s S RANGE/) as string,
      });
    });

    it('of a newer version is refused, and a missing one is not made by who only reads', async () => {
      const newer = options();
      await (await openDynamodbDriver(newer, env)).close();
      await client.send(
        new PutItemCommand({
          TableName: newer.tableName,
          Item: { p: { S: 'format' }, s: { S: 'teleport-log' }, v: { N: '2' } },
        }),
      );
      await expect(openDynamodbDriver(newer, env)).rejects.toThrow(/newer version of teleport/);
      await expect(openDynamodbDriver(options(), { ...env, reading: true })).rejects.toMatchObject({
        code: 'not_found',
      });
    });

    it('that cannot be reached is said within the time', { timeout: 30_000 }, async () => {
      await expect(
        openDynamodbDriver(options({ endpoint: 'http://127.0.0.1:1', retryPeriodMs: 500 }), env),
      ).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('127.0.0.1:1') as string,
      });
    });
  });
});

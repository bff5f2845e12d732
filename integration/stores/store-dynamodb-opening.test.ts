import {
  CreateTableCommand,
  DescribeContinuousBackupsCommand,
  DynamoDBClient,
  PutItemCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { keepingSink } from '../../backends/conformance/trial.ts';
import { openDynamodbDriver } from '../../backends/dynamodb/open.ts';
import type { DynamodbOptions } from '../../backends/dynamodb/options.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { noHash } from '../../src/log/own-hash.ts';
import { startDynamodbEngines } from '../harness/dynamodb-server.ts';
import { type Answering, type Asked, jsonService } from './json-service.ts';
import { appendNext, openTrialLog } from './store-writers.ts';

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
const env = { sink: silentLog, world: realWorld };
const engines = await startDynamodbEngines();
afterAll(async () => {
  for (const engine of engines) await engine.close();
});
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0)) await close();
});

let count = 0;
const autoScaling = {
  readMinCapacity: 5,
  readMaxCapacity: 50,
  readTargetValue: 60,
  writeMinCapacity: 6,
  writeMaxCapacity: 70,
  writeTargetValue: 80,
};

/** A stand-in for a service of Amazon's until the test is over. */
async function service(answer: Answering): ReturnType<typeof jsonService> {
  const started = await jsonService(answer);
  closers.push(() => started.close());
  return started;
}

const noCredentials = (): void => {
  for (const name of [
    'AWS_ACCESS_KEY_ID',
    'AWS_SECRET_ACCESS_KEY',
    'AWS_PROFILE',
    'AWS_REGION',
    'AWS_DEFAULT_REGION',
  ])
    vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) vi.stubEnv(name, '/nonexistent');
};

describe.each(engines)('on $name:', (engine) => {
  const client = new DynamoDBClient({ region: 'eu-central-1', endpoint: engine.endpoint, credentials });
  afterAll(() => {
    client.destroy();
  });
  const options = (more: Partial<DynamodbOptions> = {}): DynamodbOptions => ({
    tableName: `opening-${count++}`,
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

  /** What the engine behind says. */
  async function passOn({ body }: Asked, headers: Record<string, string>): Promise<object | string> {
    const { 'x-amz-target': target = '', authorization = '', 'x-amz-date': date = '' } = headers;
    const answer = await fetch(engine.endpoint, {
      method: 'POST',
      headers: {
        'x-amz-target': target,
        authorization,
        'x-amz-date': date,
        'content-type': 'application/x-amz-json-1.0',
      },
      body: JSON.stringify(body),
    });
    const said = (await answer.json()) as { __type?: string };
    return answer.ok ? said : (said.__type?.split('#')[1] ?? 'InternalServerError');
  }

  describe('opening DynamoDB', () => {
    it('without a region says which key is missing, at once', async () => {
      noCredentials();
      const began = performance.now();
      await expect(openDynamodbDriver(options({ region: undefined }), env)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining('set storage.region or AWS_REGION') as string,
      });
      expect(performance.now() - began).toBeLessThan(5_000);
    });

    it('without credentials says where they are looked for, at once', async () => {
      noCredentials();
      const began = performance.now();
      const bare = options({ accessKey: undefined, secretKey: undefined });
      await expect(openDynamodbDriver(bare, env)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining('no credentials were found') as string,
      });
      expect(performance.now() - began).toBeLessThan(5_000);
    });

    it('takes credentials from the chain', async () => {
      noCredentials();
      vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
      vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
      const driver = await openDynamodbDriver(options({ accessKey: undefined, secretKey: undefined }), env);
      const start = { slot: 0, hash: noHash };
      expect(await driver.append('state', start, Buffer.from('one'))).toEqual({ status: 'committed' });
      await driver.close();
    });

    it('that is denied says what to do, once', async () => {
      const { endpoint, asked } = await service(() => Promise.resolve('AccessDeniedException'));
      await expect(openDynamodbDriver(options({ endpoint }), env)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringMatching(
          /docs\/storage-dynamodb\.md.*AccessDeniedException: by the test/,
        ) as string,
      });
      expect(asked).toHaveLength(1);
    });

    it('refuses a table with our keys that holds something else', async () => {
      const other = options();
      await client.send(
        new CreateTableCommand({
          TableName: other.tableName,
          BillingMode: 'PAY_PER_REQUEST',
          KeySchema: [
            { AttributeName: 'p', KeyType: 'HASH' },
            { AttributeName: 's', KeyType: 'RANGE' },
          ],
          AttributeDefinitions: [
            { AttributeName: 'p', AttributeType: 'S' },
            { AttributeName: 's', AttributeType: 'S' },
          ],
        }),
      );
      // A table is not there at once.
      await waitUntilTableExists({ client, maxWaitTime: 30, minDelay: 1 }, { TableName: other.tableName });
      await client.send(
        new PutItemCommand({ TableName: other.tableName, Item: { p: { S: 'orders' }, s: { S: '1' } } }),
      );
      await expect(openDynamodbDriver(other, env)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining('holds something else (orders)') as string,
      });
    });

    it('leaves a table that is billed otherwise as it is, and says so', async () => {
      const made = options();
      await (await openDynamodbDriver(made, env)).close();
      const sink = keepingSink();
      await (await openDynamodbDriver({ ...made, billingMode: 'provisioned' }, { ...env, sink })).close();
      expect(sink.lines.join('\n')).toContain('has another billing mode than the configuration');
      await expect(
        openDynamodbDriver({ ...made, billingMode: 'provisioned', autoScaling }, env),
      ).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining('auto_scaling') as string,
      });
    });
  });

  describe('an item that does not unpack', () => {
    it('is damage of its slot: nothing is decided or written', async () => {
      const spoilt = options();
      const log = await openTrialLog(await openDynamodbDriver(spoilt, env));
      for (let n = 0; n < 3; n++) await appendNext(log, 'trial-1', n);
      await log.close();
      const key = { p: { S: 'log/state' }, s: { S: '3'.padStart(20, '0') } };
      // Each says of itself that it is deflated, plain, or of a form of the future.
      for (const first of [1, 0, 9]) {
        await client.send(
          new PutItemCommand({
            TableName: spoilt.tableName,
            Item: { ...key, b: { B: Buffer.of(first, 1, 2, 3) } },
          }),
        );
        const opened = await openTrialLog(await openDynamodbDriver(spoilt, env));
        const damaged = { code: 'damaged', message: expect.stringContaining('slot 3') as string };
        await expect(opened.state.revision('trial-1')).rejects.toMatchObject(damaged);
        await expect(appendNext(opened, 'trial-1', 2)).rejects.toMatchObject(damaged);
        await opened.close();
      }
    });
  });

  describe('continuous_backups', () => {
    it('switches point-in-time recovery on when it is off, and not again', async () => {
      let status = 'DISABLED';
      const { endpoint, asked } = await service((one, headers) => {
        if (one.operation === 'UpdateContinuousBackups') status = 'ENABLED';
        return one.operation.endsWith('ContinuousBackups')
          ? Promise.resolve({
              ContinuousBackupsDescription: {
                ContinuousBackupsStatus: 'ENABLED',
                PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: status },
              },
            })
          : passOn(one, headers);
      });
      const backedUp = options({ endpoint, continuousBackups: true });
      for (let round = 0; round < 2; round++) await (await openDynamodbDriver(backedUp, env)).close();
      const updates = asked.filter((one) => one.operation === 'UpdateContinuousBackups');
      expect(updates.map((one) => one.body)).toEqual([
        {
          TableName: backedUp.tableName,
          PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        },
      ]);
    });

    // moto has point-in-time recovery, dynalite has none.
    it.runIf(engine.name === 'moto')('is on afterwards where the engine has it', async () => {
      const backedUp = options({ continuousBackups: true });
      const pointInTime = async (): Promise<unknown> =>
        (await client.send(new DescribeContinuousBackupsCommand({ TableName: backedUp.tableName })))
          .ContinuousBackupsDescription?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus;
      await (await openDynamodbDriver({ ...backedUp, continuousBackups: false }, env)).close();
      expect(await pointInTime()).toBe('DISABLED');
      await (await openDynamodbDriver(backedUp, env)).close();
      expect(await pointInTime()).toBe('ENABLED');
    });

    it.runIf(engine.name === 'dynalite')(
      'is refused where the engine has none: nobody should rely on it',
      async () => {
        await expect(openDynamodbDriver(options({ continuousBackups: true }), env)).rejects.toMatchObject({
          code: 'misconfigured',
          message: expect.stringContaining('continuous_backups') as string,
        });
      },
    );
  });

  describe('auto_scaling', () => {
    const scaled = (): DynamodbOptions => options({ billingMode: 'provisioned', autoScaling });

    it('registers both targets and policies at the service of that name', async () => {
      const { endpoint, asked } = await service(() => Promise.resolve({}));
      vi.stubEnv('AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING', endpoint);
      const opened = scaled();
      await (await openDynamodbDriver(opened, env)).close();
      const about = (name: string): object => ({
        ServiceNamespace: 'dynamodb',
        ResourceId: `table/${opened.tableName}`,
        ScalableDimension: `dynamodb:table:${name}CapacityUnits`,
      });
      const policy = (name: string, target: number): object => ({
        ...about(name),
        PolicyType: 'TargetTrackingScaling',
        TargetTrackingScalingPolicyConfiguration: {
          TargetValue: target,
          PredefinedMetricSpecification: { PredefinedMetricType: `DynamoDB${name}CapacityUtilization` },
        },
      });
      expect(asked).toMatchObject([
        { operation: 'RegisterScalableTarget', body: { ...about('Read'), MinCapacity: 5, MaxCapacity: 50 } },
        { operation: 'PutScalingPolicy', body: policy('Read', 60) },
        { operation: 'RegisterScalableTarget', body: { ...about('Write'), MinCapacity: 6, MaxCapacity: 70 } },
        { operation: 'PutScalingPolicy', body: policy('Write', 80) },
      ]);
    });

    it('says why when it is refused', async () => {
      const { endpoint } = await service(() => Promise.resolve('AccessDeniedException'));
      vi.stubEnv('AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING', endpoint);
      await expect(openDynamodbDriver(scaled(), env)).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringMatching(/auto_scaling.*AccessDeniedException/) as string,
      });
    });

    it('needs a provisioned table', async () => {
      await expect(openDynamodbDriver(options({ autoScaling }), env)).rejects.toMatchObject({
        code: 'misconfigured',
      });
    });
  });
});

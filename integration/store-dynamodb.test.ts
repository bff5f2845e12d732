import { DynamoDBClient, DeleteItemCommand, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { afterAll } from 'vitest';
import { describeStore } from '../backends/conformance/suite.ts';
import { pack, sortOfSlot, stripeOf, unpack } from '../backends/dynamodb/items.ts';
import { openDynamodbDriver } from '../backends/dynamodb/open.ts';
import type { DynamodbOptions } from '../backends/dynamodb/options.ts';
import { silentLog } from '../src/base/log-sink.ts';
import { realWorld } from '../src/base/world.ts';
import { type DynamodbEngine, startDynamodbEngines } from './dynamodb-server.ts';

const options = (engine: DynamodbEngine, tableName: string): DynamodbOptions => ({
  tableName,
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
});
const env = { sink: silentLog, world: realWorld };
let count = 0;

const engines = await startDynamodbEngines();
afterAll(async () => {
  for (const engine of engines) await engine.close();
});

for (const engine of engines)
  describeStore(`DynamoDB (${engine.name})`, () => {
    const at = options(engine, `trial-${count++}`);
    return Promise.resolve({
      connect: () => openDynamodbDriver(at, env),
      spoil: async (partition, slot, change) => {
        const client = new DynamoDBClient({
          region: 'eu-central-1',
          endpoint: engine.endpoint,
          credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
        });
        try {
          const Key = { p: { S: stripeOf(partition, slot) }, s: { S: sortOfSlot(slot) } };
          const found = await client.send(
            new GetItemCommand({ TableName: at.tableName, Key, ConsistentRead: true }),
          );
          const value = found.Item?.['b']?.B;
          const changed = change(value === undefined ? new Uint8Array() : await unpack(value));
          if (changed)
            await client.send(
              new PutItemCommand({
                TableName: at.tableName,
                Item: { ...Key, b: { B: await pack(changed) } },
              }),
            );
          else await client.send(new DeleteItemCommand({ TableName: at.tableName, Key }));
        } finally {
          client.destroy();
        }
      },
      dispose: () => Promise.resolve(),
    });
  });

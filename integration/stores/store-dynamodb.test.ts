import {
  type AttributeValue,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  type ScanCommandOutput,
} from '@aws-sdk/client-dynamodb';
import { afterAll, vi } from 'vitest';
import { describeOtherEngine, describeStore } from '../../backends/conformance/suite.ts';
import { pack, unpack } from '../../backends/dynamodb/compression.ts';
import { sortOfSlot, stripeOf } from '../../backends/dynamodb/items.ts';
import { openDynamodbDriver } from '../../backends/dynamodb/open.ts';
import type { DynamodbOptions } from '../../backends/dynamodb/options.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { type DynamodbEngine, startDynamodbEngines } from '../harness/dynamodb-server.ts';

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

type Item = Record<string, AttributeValue> & { readonly p: AttributeValue; readonly s: AttributeValue };

/** All that a table holds, by key. */
async function itemsOf(client: DynamoDBClient, TableName: string): Promise<Map<string, Item>> {
  const found = new Map<string, Item>();
  let start: Record<string, AttributeValue> | undefined;
  do {
    const { Items, LastEvaluatedKey }: ScanCommandOutput = await client.send(
      new ScanCommand({ TableName, ConsistentRead: true, ...(start && { ExclusiveStartKey: start }) }),
    );
    for (const item of Items ?? []) found.set(JSON.stringify([item['p'], item['s']]), item as Item);
    start = LastEvaluatedKey;
  } while (start !== undefined);
  return found;
}

// Some parts append hundreds of batches one after the other, three requests each, and moto takes its time.
vi.setConfig({ testTimeout: 180_000 });
const engines = await startDynamodbEngines();
afterAll(async () => {
  for (const engine of engines) await engine.close();
});

for (const [n, engine] of engines.entries())
  (n === 0 ? describeStore : describeOtherEngine)(`DynamoDB (${engine.name})`, () => {
    const at = options(engine, `trial-${count++}`);
    const behind = async <T>(act: (client: DynamoDBClient) => Promise<T>): Promise<T> => {
      const client = new DynamoDBClient({
        region: 'eu-central-1',
        endpoint: engine.endpoint,
        credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      });
      try {
        return await act(client);
      } finally {
        client.destroy();
      }
    };
    return Promise.resolve({
      connect: () => openDynamodbDriver(at, env),
      spoil: (partition, slot, change) =>
        behind(async (client) => {
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
        }),
      save: async () => {
        const kept = await behind((client) => itemsOf(client, at.tableName));
        return () =>
          behind(async (client) => {
            for (const [name, { p, s }] of await itemsOf(client, at.tableName))
              if (!kept.has(name))
                await client.send(new DeleteItemCommand({ TableName: at.tableName, Key: { p, s } }));
            for (const Item of kept.values())
              await client.send(new PutItemCommand({ TableName: at.tableName, Item }));
          });
      },
      isSlow: true,
      dispose: () => Promise.resolve(),
    });
  });

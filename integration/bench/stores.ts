/* The log on each store beside the raw store, from one run: `make bench`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog, EventLog } from '../../src/log/event-log.ts';
import type { Cause } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { fill, keepSnapshot, openInProcess } from './opening.ts';

/** One store under measure. */
export interface BenchStore {
  readonly name: string;
  /** What the raw store is called in the output: `etcd puts`. */
  readonly raw: string;
  /** A handle on an empty store of its own; the same `label`, the same store. */
  connect(label: string): Promise<SlotDriver>;
  /** The store's own client, writing as durably as the log does. */
  rawClient(): Promise<RawClient>;
  /** Module and argument by which a process of its own opens the store `label`; see `openInProcess`. */
  program(label: string): { readonly module: string; readonly argument: string };
  dispose(): Promise<void>;
}

/** Puts values under keys of their own, `n` unlike any before. */
export interface RawClient {
  put(n: number, value: Uint8Array): Promise<unknown>;
  close(): void;
}

const callers = 256;
const cause = (): Cause => ({ at: realWorld.now(), actor: 'user:bench', requestId: realWorld.uuid() });
const open = async (driver: SlotDriver): Promise<ClusterLog> =>
  openLog({ driver, keyring: sharedTestKeyring, world: realWorld, writer: 'bench', sink: silentLog });
const secondsSince = (began: number): number => (performance.now() - began) / 1000;
const percentile = (values: readonly number[], p: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor((values.length * p) / 100))] ??
  Number.NaN;

/** Prints every figure of one store. `events` for appending, `opened` for opening. */
export async function printStoreFigures(store: BenchStore, events: number, opened: number): Promise<void> {
  await appendFigures(store, events);
  await hintFigures(store, 300);
  await openingFigures(store, opened);
}

async function appendFigures(store: BenchStore, events: number): Promise<void> {
  const log = await open(await store.connect('append'));
  const each = Math.ceil(events / callers);
  const began = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async (_, i) => {
      for (let n = 0; n < each; n++) await addTo(log.state, `bench-${i}`, n);
    }),
  );
  const ours = secondsSince(began);
  await log.close();
  const driver = await store.connect('append');
  const batches: Uint8Array[] = [];
  for await (const { batch } of driver.read('state', 1)) batches.push(batch);
  await driver.close();
  const count = each * callers;
  const bytes = batches.reduce((sum, one) => sum + one.length, 0);
  const raw = await rawSeconds(store, batches, 1);
  // A value for each append, by as many callers as the log has: fewer, since this takes long on some stores.
  const single = Math.min(count, 20_000);
  const value = Buffer.alloc(Math.round(bytes / count), 'x');
  const alone = (await rawSeconds(store, Array<Uint8Array>(single).fill(value), callers)) / single;
  const log256 = `log ${Math.round(count / ours)}/s`;
  console.log(
    `${store.name}: appends, ${callers} callers`.padEnd(36),
    `${log256}  ${store.raw} of the same bytes in the same batches ${Math.round(count / raw)}/s  ratio ${(raw / ours).toFixed(2)}`,
    ` (${(count / batches.length).toFixed(0)} appends in a batch, ${Math.round(bytes / count)} B an event)`,
  );
  console.log(
    ''.padEnd(36),
    `${log256}  ${store.raw} of the same bytes, one an append, ${callers} callers ${Math.round(1 / alone)}/s  ratio ${((alone * count) / ours).toFixed(2)}`,
  );
}

/**
 * How long the store's own client needs for these values, so many callers at a time each writing one after
 * another.
 */
async function rawSeconds(
  store: BenchStore,
  values: readonly Uint8Array[],
  writers: number,
): Promise<number> {
  const client = await store.rawClient();
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let n = next++; n < values.length; n = next++)
      await client.put(writers * 1_000_000 + n, values[n] ?? Buffer.alloc(0));
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: writers }, writer));
  const seconds = secondsSince(began);
  client.close();
  return seconds;
}

const addTo = (log: EventLog, stream: `bench-${number}`, n: number): Promise<number> =>
  log.append(
    [{ stream, expected: n, facts: [{ type: 'bench.happened', data: { n, text: 'x'.repeat(80) } }] }],
    cause(),
  );

/** From the answer to an append on one handle until a follower on another handle has the event. */
async function hintFigures(store: BenchStore, appends: number): Promise<void> {
  const [writer, reader] = [await open(await store.connect('hint')), await open(await store.connect('hint'))];
  const waiting = new Map<number, (at: number) => void>();
  const seen = new Map<number, number>();
  const following = reader.state.follow(0).subscribe(({ position }) => {
    const at = performance.now();
    seen.set(position, at);
    waiting.get(position)?.(at);
  });
  const delays: number[] = [];
  for (let n = 0; n < appends; n++) {
    const position = await addTo(writer.state, 'bench-0', n);
    const committed = performance.now();
    const at = seen.get(position) ?? (await new Promise<number>((found) => waiting.set(position, found)));
    delays.push(Math.max(0, at - committed));
  }
  following.unsubscribe();
  await writer.close();
  await reader.close();
  console.log(
    `${store.name}: commit to another's fold`.padEnd(36),
    `p50 ${percentile(delays, 50).toFixed(1)} ms  p99 ${percentile(delays, 99).toFixed(1)} ms`,
  );
}

async function openingFigures(store: BenchStore, events: number): Promise<void> {
  await fill(await store.connect('open'), events);
  const { module, argument } = store.program('open');
  const cold = await openInProcess(module, argument, 'open');
  const follower = await openInProcess(module, argument, 'follow');
  await keepSnapshot(await store.connect('open'));
  const warm = await openInProcess(module, argument, 'open');
  console.log(
    `${store.name}: opening ${events} events`.padEnd(36),
    `with snapshot ${warm.seconds.toFixed(2)} s  without ${cold.seconds.toFixed(1)} s  a follower from the first event ${follower.seconds.toFixed(1)} s, ${follower.peakMiB.toFixed(0)} MiB at most (${warm.peakMiB.toFixed(0)} MiB when opened by snapshot)`,
  );
}

/** The local directory, beside SQLite alone. */
export function directoryStore(): BenchStore {
  const root = mkdtempSync(join(tmpdir(), 'log-bench-'));
  return {
    name: 'dir',
    raw: 'SQLite inserts',
    connect: (label) => openDirectoryDriver({ path: join(root, label) }),
    rawClient: () => {
      const raw = new DatabaseSync(join(root, 'raw.db'));
      raw.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS slots (slot INTEGER PRIMARY KEY, batch BLOB)',
      );
      const insert = raw.prepare('INSERT INTO slots VALUES (?, ?)');
      return Promise.resolve({
        put: (n, value) => Promise.resolve(insert.run(n, value)),
        close: () => {
          raw.close();
        },
      });
    },
    program: (label) => ({ module: join(import.meta.dirname, 'open-dir.ts'), argument: join(root, label) }),
    dispose: () => {
      rmSync(root, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

/** etcd of one member on this machine's disk, beside its own client's puts. */
export async function etcdStore(): Promise<BenchStore> {
  const { startEtcd } = await import('../harness/etcd-server.ts');
  const { openEtcdDriver } = await import('../../backends/etcd/open.ts');
  const { Etcd3 } = await import('etcd3');
  const cluster = await startEtcd();
  const [url = ''] = cluster.urls;
  return {
    name: 'etcd',
    raw: 'etcd puts',
    connect: (label) =>
      openEtcdDriver(
        { peers: cluster.urls, prefix: label, insecure: false, dialTimeoutMs: 5_000 },
        { sink: silentLog, world: realWorld },
      ),
    rawClient: () => {
      const client = new Etcd3({ hosts: url });
      return Promise.resolve({
        put: (n, value) =>
          client.kv.put({
            key: Buffer.from(`raw/${String(n).padStart(20, '0')}`),
            value: Buffer.from(value),
          }),
        close: () => {
          client.close();
        },
      });
    },
    program: (label) => ({ module: join(import.meta.dirname, 'open-etcd.ts'), argument: `${url} ${label}` }),
    dispose: () => cluster.close(),
  };
}

/** dynalite, beside its own client's PutItem. */
export async function dynamodbStore(): Promise<BenchStore> {
  const { startDynalite } = await import('../harness/dynamodb-server.ts');
  const { openDynamodbDriver } = await import('../../backends/dynamodb/open.ts');
  const { DynamoDBClient, PutItemCommand } = await import('@aws-sdk/client-dynamodb');
  const { dynamodbAt } = await import('./open-dynamodb.ts');
  const engine = await startDynalite();
  return {
    name: `DynamoDB (${engine.name})`,
    raw: 'PutItem',
    connect: (label) =>
      openDynamodbDriver(dynamodbAt(engine.endpoint, label), { sink: silentLog, world: realWorld }),
    rawClient: async () => {
      const table = dynamodbAt(engine.endpoint, 'raw');
      await (await openDynamodbDriver(table, { sink: silentLog, world: realWorld })).close();
      const client = new DynamoDBClient({
        region: 'eu-central-1',
        endpoint: engine.endpoint,
        credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      });
      return {
        put: (n, value) =>
          client.send(
            new PutItemCommand({
              TableName: table.tableName,
              Item: { p: { S: 'raw' }, s: { S: String(n).padStart(20, '0') }, b: { B: value } },
            }),
          ),
        close: () => {
          client.destroy();
        },
      };
    },
    program: (label) => ({
      module: join(import.meta.dirname, 'open-dynamodb.ts'),
      argument: `${engine.endpoint} ${label}`,
    }),
    dispose: () => engine.close(),
  };
}

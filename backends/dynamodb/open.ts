import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { checked } from '../../src/base/dial-tls.ts';
import { CodedError } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import type { World } from '../../src/base/world.ts';
import type { Partition } from '../../src/log/event.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { appendSlot, putSlot } from './appending.ts';
import { scaleTable } from './auto-scaling.ts';
import { blobStore } from './blobs.ts';
import { claimTable } from './format.ts';
import { pollNewest } from './hints.ts';
import { type DynamodbOptions, maxBatchBytes } from './options.ts';
import { Requests, type RequestRules } from './requests.ts';
import { boundsOf, slotsFrom } from './slots.ts';
import type { TableAccess } from './table-access.ts';
import { ensureTable } from './table.ts';
import { trimSlots } from './trimming.ts';

const loadsAtOnce = 16;

/**
 * The store in a DynamoDB table of its own, which is made when it is missing.
 * @param env with `reading`, nothing is made.
 * @throws CodedError `misconfigured` for a table of another form or refused credentials, `unavailable` when
 *   there is no answer, `not_found` when reading and there is no table.
 */
export async function openDynamodbDriver(
  options: DynamodbOptions,
  env: { readonly sink: LogSink; readonly world: World; readonly reading?: boolean },
): Promise<SlotDriver> {
  const { tableName, retryPeriodMs } = options;
  if (options.autoScaling !== undefined && options.billingMode !== 'provisioned')
    throw new CodedError('misconfigured', 'auto_scaling needs billing_mode: provisioned');
  const client = new DynamoDBClient(clientConfig(options));
  const requests = new Requests({ periodMs: retryPeriodMs, place: placeOf(options), world: env.world });
  const ask: Asking = (act, pass = [], rules = {}) => requests.send(act, { ...rules, pass });
  const table: TableAccess = {
    client,
    tableName,
    requests,
    read: (act, pass) => ask(act, pass),
    write: (act, pass) => ask(act, pass, { writing: true, repeatable: true }),
    writeOnce: (act, pass) => ask(act, pass, { writing: true }),
    count: (units, kind) => {
      requests.counters[kind === 'read' ? 'consumedReadUnits' : 'consumedWriteUnits'] +=
        units?.CapacityUnits ?? 0;
    },
  };
  try {
    await ensureTable(client, options, { ask, sink: env.sink, create: env.reading !== true });
    await claimTable(table, env.reading === true);
    if (env.reading !== true && options.autoScaling)
      await scaleTable(tableName, options.autoScaling, clientConfig({ ...options, endpoint: undefined }));
  } catch (e) {
    client.destroy();
    throw e;
  }
  requests.opening = false;
  return driver(table, options, env.world);
}

function driver(table: TableAccess, options: DynamodbOptions, world: World): SlotDriver {
  const { pollStreamPeriodMs } = options;
  const { counters, throttling } = table.requests;
  const newest = new Map<Partition, number>();
  const saw = (partition: Partition, slot: number): void => {
    newest.set(partition, Math.max(newest.get(partition) ?? 0, slot));
  };
  return {
    // A search for a slot without a hint reads the whole rest; hints do nearly all of it.
    limits: { maxBatchBytes, pollMs: Math.max(2_000, 5 * pollStreamPeriodMs) },
    append: async (partition, after, batch) => {
      const appended = await appendSlot(table, partition, after, { batch, world });
      if (appended.status === 'committed') saw(partition, after.slot + 1);
      return appended;
    },
    // Several at a time. Existing slots stay, so that each may be sent again when its reply is lost.
    load: async (partition, slots) => {
      const waiting = slots.values();
      const work = async (): Promise<void> => {
        for (const one of waiting) await putSlot(table, partition, one);
      };
      await Promise.all(Array.from({ length: loadsAtOnce }, work));
    },
    read: async function* (partition, from, after) {
      // A follower that starts there already has everything before: news is what comes after.
      saw(partition, from - 1);
      for await (const found of slotsFrom(table, partition, from, after)) {
        saw(partition, found.slot);
        yield found;
      }
    },
    hints: (partition) => pollNewest(table, partition, () => newest.get(partition) ?? 0, pollStreamPeriodMs),
    bounds: (partition) => boundsOf(table, partition),
    trim: async (partition, before) => {
      const { floor, head } = await boundsOf(table, partition);
      await trimSlots(table, partition, Math.max(floor, Math.min(before, head + 1)));
    },
    vault: blobStore(table, 'vault'),
    snapshots: blobStore(table, 'snapshots'),
    meta: blobStore(table, 'meta'),
    report: () => ({
      type: 'dynamodb',
      place: placeOf(options),
      writes: 'taken',
      trouble: throttling.trouble(),
      room: { status: 'without end' },
      figures: {
        requests: counters.requests,
        throttled_requests: counters.throttled,
        throttled_seconds: Math.round(counters.throttledMs) / 1000,
        throttled_failures: counters.throttledFailures,
        retries: counters.retries,
        lost_answers: counters.lostAnswers,
        consumed_read_units: Math.round(counters.consumedReadUnits),
        consumed_write_units: Math.round(counters.consumedWriteUnits),
      },
    }),
    close: () => {
      table.requests.close();
      table.client.destroy();
      return Promise.resolve();
    },
  };
}

type Asking = <T>(
  act: () => Promise<T>,
  pass?: readonly string[],
  rules?: Omit<RequestRules, 'pass'>,
) => Promise<T>;

const placeOf = ({ tableName, region, endpoint }: DynamodbOptions): string =>
  `table ${tableName}${region === undefined ? '' : ` in ${region}`}${endpoint === undefined ? '' : ` at ${endpoint}`}`;

function clientConfig({ region, endpoint, accessKey, secretKey }: DynamodbOptions): DynamoDBClientConfig {
  return {
    maxAttempts: 1,
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(accessKey !== undefined &&
      secretKey !== undefined && { credentials: { accessKeyId: accessKey, secretAccessKey: secretKey } }),
    requestHandler: {
      connectionTimeout: 2_000,
      requestTimeout: 5_000,
      throwOnRequestTimeout: true,
      httpAgent: { maxSockets: 64, keepAlive: true },
      httpsAgent: { maxSockets: 64, keepAlive: true, ...checked },
    },
  };
}

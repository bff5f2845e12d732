import { openDynamodbDriver } from '../../backends/dynamodb/open.ts';
import type { DynamodbOptions } from '../../backends/dynamodb/options.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

/** A table of a local engine. */
export const dynamodbAt = (endpoint: string, label: string): DynamodbOptions => ({
  tableName: `bench-${label}`,
  region: 'eu-central-1',
  endpoint,
  accessKey: 'local',
  secretKey: 'local',
  readCapacityUnits: 10,
  writeCapacityUnits: 10,
  billingMode: 'pay_per_request',
  continuousBackups: false,
  pollStreamPeriodMs: 1_000,
  retryPeriodMs: 10_000,
});

/** For `openInProcess`: `<endpoint> <label>`. */
export function connect(argument: string): Promise<SlotDriver> {
  const [endpoint = '', label = ''] = argument.split(' ');
  return openDynamodbDriver(dynamodbAt(endpoint, label), { sink: silentLog, world: realWorld });
}

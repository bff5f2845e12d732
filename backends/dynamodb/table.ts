import {
  CreateTableCommand,
  DescribeContinuousBackupsCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  type TableDescription,
  UpdateContinuousBackupsCommand,
} from '@aws-sdk/client-dynamodb';
import { pause } from '../../src/base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../../src/base/errors.ts';
import type { LogSink } from '../../src/base/log-sink.ts';
import { attributes } from './items.ts';
import type { DynamodbOptions } from './options.ts';

type Ask = <T>(act: () => Promise<T>, pass: readonly string[]) => Promise<T>;

const activeWithinMs = 180_000;
const missing = 'ResourceNotFoundException';
const beingMade = 'ResourceInUseException';

/**
 * Makes sure that the table is there and is ours.
 * @throws CodedError `misconfigured` for a table of another form, `not_found` when it is missing and `create`
 *   is false.
 */
export async function ensureTable(
  client: DynamoDBClient,
  options: DynamodbOptions,
  { ask, sink, create }: { readonly ask: Ask; readonly sink: LogSink; readonly create: boolean },
): Promise<void> {
  const { tableName } = options;
  let table = await describe(client, tableName, ask);
  const isNew = table === undefined;
  if (isNew) {
    if (!create) throw new CodedError('not_found', `there is no DynamoDB table ${tableName}`);
    sink.info('the table is made', { table: tableName, billing: options.billingMode });
    // Somebody else may be making it at this moment.
    await ask(() => client.send(creation(options)), [beingMade]).catch((e: unknown) => {
      if ((e as Error).name !== beingMade) throw e;
    });
  }
  const end = performance.now() + activeWithinMs;
  while (!isServing(table, tableName)) {
    if (performance.now() >= end)
      throw new CodedError(
        'unavailable',
        `DynamoDB table ${tableName} is not active after ${activeWithinMs / 1000} s`,
      );
    await pause(250);
    table = await describe(client, tableName, ask);
  }
  checkSchema(table ?? {}, tableName);
  if (create && !isNew) compareBilling(table ?? {}, options, sink);
  if (create && options.continuousBackups) await backUp(client, tableName, { ask, sink });
}

const describe = (client: DynamoDBClient, name: string, ask: Ask): Promise<TableDescription | undefined> =>
  ask(() => client.send(new DescribeTableCommand({ TableName: name })), [missing]).then(
    (answer) => answer.Table,
    (e: unknown) => {
      if ((e as Error).name === missing) return undefined;
      throw e;
    },
  );

function creation({
  tableName,
  billingMode,
  readCapacityUnits,
  writeCapacityUnits,
}: DynamodbOptions): CreateTableCommand {
  return new CreateTableCommand({
    TableName: tableName,
    KeySchema: [
      { AttributeName: attributes.partition, KeyType: 'HASH' },
      { AttributeName: attributes.sort, KeyType: 'RANGE' },
    ],
    AttributeDefinitions: [
      { AttributeName: attributes.partition, AttributeType: 'S' },
      { AttributeName: attributes.sort, AttributeType: 'S' },
    ],
    ...(billingMode === 'pay_per_request'
      ? { BillingMode: 'PAY_PER_REQUEST' }
      : {
          BillingMode: 'PROVISIONED',
          ProvisionedThroughput: {
            ReadCapacityUnits: readCapacityUnits,
            WriteCapacityUnits: writeCapacityUnits,
          },
        }),
  });
}

/** @throws CodedError `misconfigured` with both schemas. */
export function checkSchema(table: TableDescription, name: string): void {
  const types = new Map(table.AttributeDefinitions?.map((one) => [one.AttributeName, one.AttributeType]));
  const text = (table.KeySchema ?? [])
    .map((key) => `${key.AttributeName ?? '?'} ${types.get(key.AttributeName) ?? '?'} ${key.KeyType ?? '?'}`)
    .join(', ');
  const wanted = `${attributes.partition} S HASH, ${attributes.sort} S RANGE`;
  if (text !== wanted)
    throw new CodedError(
      'misconfigured',
      `DynamoDB table ${name} is not a log of ours: its keys are (${text}), ours are (${wanted}); name another table_name`,
    );
}

/** A table that was just requested, and is not known everywhere yet, will be. */
function isServing(table: TableDescription | undefined, name: string): boolean {
  const status = table?.TableStatus;
  if (status === 'ACTIVE' || status === 'UPDATING') return true;
  if (status === undefined || status === 'CREATING') return false;
  throw new CodedError('misconfigured', `DynamoDB table ${name} cannot be used: it is ${status}`);
}

/** The settings in the file apply when the table is made: later they would undo an operator's changes. */
function compareBilling(table: TableDescription, options: DynamodbOptions, sink: LogSink): void {
  const found =
    table.BillingModeSummary?.BillingMode === 'PAY_PER_REQUEST' ? 'pay_per_request' : 'provisioned';
  if (found === options.billingMode) return;
  if (options.autoScaling !== undefined)
    throw new CodedError(
      'misconfigured',
      `auto_scaling needs a provisioned table, and ${options.tableName} is paid per request: remove the key, or change the table`,
    );
  sink.warn('the DynamoDB table has another billing mode than the configuration, and keeps it', {
    table: options.tableName,
    billing: found,
    configured: options.billingMode,
  });
}

async function backUp(
  client: DynamoDBClient,
  name: string,
  { ask, sink }: { ask: Ask; sink: LogSink },
): Promise<void> {
  const unknown = ['UnknownOperationException', 'TableNotFoundException'];
  try {
    const found = await ask(
      () => client.send(new DescribeContinuousBackupsCommand({ TableName: name })),
      unknown,
    );
    const status =
      found.ContinuousBackupsDescription?.PointInTimeRecoveryDescription?.PointInTimeRecoveryStatus;
    if (status === 'ENABLED') return;
    await ask(
      () =>
        client.send(
          new UpdateContinuousBackupsCommand({
            TableName: name,
            PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
          }),
        ),
      unknown,
    );
    sink.info('point-in-time recovery of the table is on', { table: name });
  } catch (e) {
    if (isCoded(e, 'unavailable')) throw e;
    throw new CodedError(
      'misconfigured',
      `continuous_backups cannot be turned on for table ${name}: ${messageOf(e) || (e as Error).name}`,
      { cause: e },
    );
  }
}

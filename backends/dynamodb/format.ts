import { GetItemCommand, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { CodedError } from '../../src/base/errors.ts';
import { attributes, itemKey } from './items.ts';
import { conditionFailed, type TableAccess } from './table-access.ts';

/**
 * Of the keys and values in the table. Raised when they change so that an older program must not touch them.
 */
const format = 1;
const place = 'format';
const key = itemKey(place, 'teleport-log');

/**
 * Finds out what the table holds, and marks it as ours when it is empty. With `reading`, nothing is written.
 * @throws CodedError `misconfigured` when it belongs to a newer version, or is not ours.
 */
export async function claimTable(table: TableAccess, reading: boolean): Promise<void> {
  if (await isClaimed(table)) return;
  const { Items: found } = await table.read(() =>
    table.client.send(new ScanCommand({ TableName: table.tableName, ConsistentRead: true, Limit: 1 })),
  );
  const stranger = found?.[0]?.[attributes.partition]?.S;
  // Another first start may have been quicker.
  if (stranger !== undefined && stranger !== place && !(await isClaimed(table)))
    throw new CodedError(
      'misconfigured',
      `DynamoDB table ${table.tableName} holds something else (${stranger}), which is not a log of ours: name another table_name`,
    );
  if (stranger !== undefined || reading) return;
  try {
    await table.write(
      () =>
        table.client.send(
          new PutItemCommand({
            TableName: table.tableName,
            // A request that arrives late must not restore the mark of an older version.
            ConditionExpression: 'attribute_not_exists(#p)',
            ExpressionAttributeNames: { '#p': attributes.partition },
            Item: { ...key, v: { N: String(format) } },
          }),
        ),
      [conditionFailed],
    );
  } catch (e) {
    if ((e as Error).name !== conditionFailed) throw e;
    await isClaimed(table);
  }
}

async function isClaimed(table: TableAccess): Promise<boolean> {
  const { Item: mark } = await table.read(() =>
    table.client.send(new GetItemCommand({ TableName: table.tableName, ConsistentRead: true, Key: key })),
  );
  if (mark === undefined) return false;
  const version = Number(mark['v']?.N);
  if (!(version >= 1))
    throw new CodedError(
      'misconfigured',
      `what DynamoDB table ${table.tableName} holds is not a log of ours`,
    );
  if (version > format)
    throw new CodedError(
      'misconfigured',
      `DynamoDB table ${table.tableName} was written by a newer version of teleport (format ${version}, this one knows ${format}): upgrade`,
    );
  return true;
}

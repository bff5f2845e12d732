import { DeleteItemCommand, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Partition } from '../../src/log/event.ts';
import { attributes, sortOfSlot, stripeOf } from './items.ts';
import type { TableAccess } from './table-access.ts';

const isFurther = 'ConditionalCheckFailedException';
const markKey = (partition: Partition): Record<string, { S: string }> => ({
  [attributes.partition]: { S: 'trimmed' },
  [attributes.sort]: { S: partition },
});

/**
 * Slots before it count as gone, whether they are deleted yet or not: deleting takes many requests, and half of it
 * looks like damage. 0 when nothing was trimmed.
 */
export async function trimmedBefore(table: TableAccess, partition: Partition): Promise<number> {
  const { Item: mark, ConsumedCapacity: used } = await table.read(() =>
    table.client.send(
      new GetItemCommand({
        TableName: table.tableName,
        ConsistentRead: true,
        ReturnConsumedCapacity: 'TOTAL',
        Key: markKey(partition),
      }),
    ),
  );
  table.count(used, 'read');
  return Number(mark?.['before']?.N ?? 0);
}

/**
 * To be called before any of the slots is deleted. Slot 1 goes here: a reader looks at the mark where a slot is missing,
 * and who reads from the beginning must meet it.
 */
export async function markTrimmed(table: TableAccess, partition: Partition, before: number): Promise<void> {
  try {
    const { ConsumedCapacity: used } = await table.read(
      () =>
        table.client.send(
          new PutItemCommand({
            TableName: table.tableName,
            ReturnConsumedCapacity: 'TOTAL',
            Item: { ...markKey(partition), before: { N: String(before) } },
            ConditionExpression: 'attribute_not_exists(#b) OR #b < :b',
            ExpressionAttributeNames: { '#b': 'before' },
            ExpressionAttributeValues: { ':b': { N: String(before) } },
          }),
        ),
      [isFurther],
    );
    table.count(used, 'write');
  } catch (e) {
    if ((e as Error).name !== isFurther) throw e;
  }
  if (before <= 1) return;
  const { ConsumedCapacity: used } = await table.read(() =>
    table.client.send(
      new DeleteItemCommand({
        TableName: table.tableName,
        ReturnConsumedCapacity: 'TOTAL',
        Key: {
          [attributes.partition]: { S: stripeOf(partition, 1) },
          [attributes.sort]: { S: sortOfSlot(1) },
        },
      }),
    ),
  );
  table.count(used, 'write');
}

import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { Partition } from '../../src/log/event.ts';
import { afterWriting } from './after-writing.ts';
import { deleteItems } from './deleting.ts';
import { itemKey, type ItemKey, sortOfSlot, stripeOf, stripesOf } from './items.ts';
import { itemsFrom } from './pages.ts';
import { conditionFailed, type TableAccess } from './table-access.ts';

const markKey = (partition: Partition): ItemKey => itemKey('trimmed', partition);

/** Slots before it were trimmed, whether they are deleted yet or not. At least 1. */
export async function floorOf(table: TableAccess, partition: Partition): Promise<number> {
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
  return Math.max(1, Number(mark?.['before']?.N ?? 1));
}

/**
 * Raises the floor, and then deletes the slots before it. An interrupted deletion is finished by the next
 * call.
 */
export async function trimSlots(table: TableAccess, partition: Partition, floor: number): Promise<void> {
  if (floor <= 1) return;
  await markTrimmed(table, partition, floor);
  await afterWriting(async () => {
    // A process of the previous release looks at the mark only where a slot is missing: a reader from the
    // beginning must meet it.
    await deleteItems(table, stripeOf(partition, 1), [sortOfSlot(1)]);
    for (const stripe of stripesOf(partition)) {
      const found: string[] = [];
      const range = { keysOnly: true, to: sortOfSlot(floor - 1) };
      for await (const { sort } of itemsFrom(table, stripe, sortOfSlot(0), range)) found.push(sort);
      await deleteItems(table, stripe, found);
    }
  });
}

async function markTrimmed(table: TableAccess, partition: Partition, before: number): Promise<void> {
  try {
    const { ConsumedCapacity: used } = await table.write(
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
      [conditionFailed],
    );
    table.count(used, 'write');
  } catch (e) {
    if ((e as Error).name !== conditionFailed) throw e;
  }
}

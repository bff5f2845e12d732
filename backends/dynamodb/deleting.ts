import { BatchWriteItemCommand } from '@aws-sdk/client-dynamodb';
import { CodedError } from '../../src/base/errors.ts';
import { itemKey } from './items.ts';
import type { TableAccess } from './table-access.ts';

/** Items of one batch request. */
const most = 25;

/**
 * Items that a batch request did not process, because it was throttled, are requested again after a pause.
 */
export async function deleteItems(
  table: TableAccess,
  partition: string,
  sorts: readonly string[],
): Promise<void> {
  let left = sorts.map((sort) => ({
    DeleteRequest: { Key: itemKey(partition, sort) },
  }));
  const waiting = table.requests.patience();
  try {
    while (left.length > 0) {
      const now = left.slice(0, most);
      const answer = await table.write(() =>
        table.client.send(
          new BatchWriteItemCommand({
            RequestItems: { [table.tableName]: now },
            ReturnConsumedCapacity: 'TOTAL',
          }),
        ),
      );
      for (const units of answer.ConsumedCapacity ?? []) table.count(units, 'write');
      const undone = (answer.UnprocessedItems?.[table.tableName] ?? []) as typeof left;
      left = [...undone, ...left.slice(most)];
      if (undone.length < now.length) waiting.progress();
      if (undone.length === 0) continue;
      table.requests.throttledInPart();
      await waiting.wait(
        true,
        (tried) =>
          new CodedError('unavailable', `DynamoDB throttles us (table ${table.tableName}): ${tried}`),
      );
    }
  } finally {
    waiting.over();
  }
}

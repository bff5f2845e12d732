import { DeleteItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { CodedError } from '../../src/base/errors.ts';
import type { World } from '../../src/base/world.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import type { Appended, Place, StoredSlot } from '../../src/log/slot-driver.ts';
import { afterWriting } from './after-writing.ts';
import { pack } from './compression.ts';
import { attributes, slotKey } from './items.ts';
import { maxBatchBytes } from './options.ts';
import { lookAt } from './places.ts';
import { conditionFailed, type TableAccess } from './table-access.ts';

const putBytes = 8;

/**
 * A condition of DynamoDB is on one item: the slot is put if it is free, then one consistent read shows
 * whether it follows what it should and is not below the floor, and the put is undone if not. A process that
 * dies in between leaves a slot that does not follow the one before it, or is below the floor, where nobody
 * reads.
 */
export async function appendSlot(
  table: TableAccess,
  partition: Partition,
  after: Place,
  { batch, world }: { readonly batch: Uint8Array; readonly world: Pick<World, 'randomBytes'> },
): Promise<Appended> {
  const slot = after.slot + 1;
  // Only the beginning is at slot 0.
  if (after.slot === 0 && !noHash.equals(after.hash)) return { status: 'predecessor changed' };
  const put = world.randomBytes(putBytes);
  if ((await putSlot(table, partition, { slot, batch }, put)) === 'taken')
    return { status: 'taken', head: slot };
  return afterWriting(async () => {
    const { floor, isHeld } = await lookAt(table, partition, after);
    if (slot >= floor && isHeld) return { status: 'committed' };
    await undo(table, partition, slot, put);
    return slot < floor ? { status: 'below floor', floor } : { status: 'predecessor changed' };
  });
}

/** An existing item stays. Without `put` it may be sent again when its reply is lost. */
export async function putSlot(
  table: TableAccess,
  partition: Partition,
  { slot, batch }: StoredSlot,
  put?: Uint8Array,
): Promise<'committed' | 'taken'> {
  if (batch.length > maxBatchBytes)
    throw new CodedError('too_large', 'the batch is larger than the store takes');
  const value = await pack(batch);
  const request = () =>
    table.client.send(
      new PutItemCommand({
        TableName: table.tableName,
        ReturnConsumedCapacity: 'TOTAL',
        ConditionExpression: 'attribute_not_exists(#p)',
        ExpressionAttributeNames: { '#p': attributes.partition },
        Item: {
          ...slotKey(partition, slot),
          [attributes.value]: { B: value },
          [attributes.hash]: { B: ownHash(batch) },
          ...(put !== undefined && { [attributes.put]: { B: put } }),
        },
      }),
    );
  try {
    const answer = await (put === undefined
      ? table.write(request, [conditionFailed])
      : table.writeOnce(request, [conditionFailed]));
    table.count(answer.ConsumedCapacity, 'write');
    return 'committed';
  } catch (e) {
    if ((e as Error).name !== conditionFailed) throw e;
    return 'taken';
  }
}

/** May be sent again and arrive late: it deletes only what this very put has written. */
async function undo(table: TableAccess, partition: Partition, slot: number, put: Uint8Array): Promise<void> {
  try {
    const { ConsumedCapacity: used } = await table.write(
      () =>
        table.client.send(
          new DeleteItemCommand({
            TableName: table.tableName,
            ReturnConsumedCapacity: 'TOTAL',
            ConditionExpression: '#u = :u',
            ExpressionAttributeNames: { '#u': attributes.put },
            ExpressionAttributeValues: { ':u': { B: put } },
            Key: slotKey(partition, slot),
          }),
        ),
      [conditionFailed],
    );
    table.count(used, 'write');
  } catch (e) {
    // It is gone: an earlier attempt was carried out.
    if ((e as Error).name !== conditionFailed) throw e;
  }
}

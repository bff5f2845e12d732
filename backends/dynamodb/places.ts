import { type AttributeValue, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import type { Place } from '../../src/log/slot-driver.ts';
import { unpackOrRaw } from './compression.ts';
import { attributes, slotKey } from './items.ts';
import type { TableAccess } from './table-access.ts';
import { floorOf } from './trimming.ts';

/** What the store now reports about a place that somebody knows. */
export interface PlaceSeen {
  readonly floor: number;
  /** Whether the store still holds that batch; slots below the floor are not known, and count as held. */
  readonly isHeld: boolean;
}

/**
 * One round trip, except for items that the previous release has written. `place` undefined: only the floor.
 */
export async function lookAt(
  table: TableAccess,
  partition: Partition,
  place: Place | undefined,
): Promise<PlaceSeen> {
  const asked = place === undefined || place.slot === 0 ? undefined : place;
  const [floor, hash] = await Promise.all([
    floorOf(table, partition),
    asked === undefined ? undefined : hashOf(table, partition, asked.slot),
  ]);
  if (asked === undefined || asked.slot < floor || hash?.equals(asked.hash) === true)
    return { floor, isHeld: true };
  // The two replies are from different moments: the slot may have been trimmed between them.
  const later = await floorOf(table, partition);
  return { floor: later, isHeld: asked.slot < later };
}

async function hashOf(table: TableAccess, partition: Partition, slot: number): Promise<Buffer | undefined> {
  const item = await attributeOf(table, partition, slot, attributes.hash);
  if (item === undefined) return undefined;
  const hash = item[attributes.hash]?.B;
  if (hash !== undefined) return Buffer.from(hash);
  const whole = await attributeOf(table, partition, slot, attributes.value);
  const value = whole?.[attributes.value]?.B;
  return value && ownHash(await unpackOrRaw(value));
}

async function attributeOf(
  table: TableAccess,
  partition: Partition,
  slot: number,
  name: string,
): Promise<Record<string, AttributeValue> | undefined> {
  const { Item: item, ConsumedCapacity: used } = await table.read(() =>
    table.client.send(
      new GetItemCommand({
        TableName: table.tableName,
        ConsistentRead: true,
        ReturnConsumedCapacity: 'TOTAL',
        // The key as well: an item without the attribute is distinguished from none.
        ProjectionExpression: '#s, #a',
        ExpressionAttributeNames: { '#s': attributes.sort, '#a': name },
        Key: slotKey(partition, slot),
      }),
    ),
  );
  table.count(used, 'read');
  return item;
}

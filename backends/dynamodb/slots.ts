import type { Partition } from '../../src/log/event.ts';
import { type Bounds, type StoredSlot, StoreWentBack } from '../../src/log/slot-driver.ts';
import { unpackOrRaw } from './compression.ts';
import { sortOfSlot, stripesOf } from './items.ts';
import { type Lanes, mergeLanes } from './lanes.ts';
import { pageOf } from './pages.ts';
import { lookAt } from './places.ts';
import type { TableAccess } from './table-access.ts';
import { floorOf } from './trimming.ts';

/**
 * Slots from `from` or the floor on, in order, also of a partition that is spread over several hash keys.
 * @param after own hash of the batch in slot `from - 1`.
 * @throws StoreWentBack when the store no longer holds that.
 */
export async function* slotsFrom(
  table: TableAccess,
  partition: Partition,
  from: number,
  after?: Uint8Array,
): AsyncGenerator<StoredSlot> {
  const stripes = stripesOf(partition);
  const lanes: Lanes = {
    count: stripes.length,
    begin: async () => {
      const place = after === undefined ? undefined : { slot: from - 1, hash: after };
      const { floor, isHeld } = await lookAt(table, partition, place);
      if (!isHeld) throw new StoreWentBack(partition, from - 1);
      return floor;
    },
    page: async (lane, first, limit) => {
      const { items, next } = await pageOf(
        table,
        stripes[lane] ?? '',
        { from: sortOfSlot(first) },
        { limit },
      );
      return {
        slots: items.map(({ sort, value }) => ({ slot: Number(sort), batch: value ?? new Uint8Array() })),
        more: next !== undefined,
      };
    },
    trimmedBefore: () => floorOf(table, partition),
  };
  // Bytes that do not unpack are passed on: the log finds that they are not a batch, and names the slot.
  for await (const { slot, batch } of mergeLanes(lanes, from))
    yield { slot, batch: await unpackOrRaw(batch) };
}

/** One round trip: the newest slot of each hash key, and the floor. */
export async function boundsOf(table: TableAccess, partition: Partition): Promise<Bounds> {
  const [floor, ...newest] = await Promise.all([
    floorOf(table, partition),
    ...stripesOf(partition).map(async (stripe) => {
      const range = { from: sortOfSlot(0) };
      const { items } = await pageOf(table, stripe, range, { keysOnly: true, limit: 1, descending: true });
      return Number(items[0]?.sort ?? 0);
    }),
  ]);
  // Those below the floor were not deleted yet, or were put by a process that missed a trim.
  return { floor, head: Math.max(floor - 1, ...newest) };
}

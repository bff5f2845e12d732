import type { Partition } from './event.ts';
import type { Segments } from './segments.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

/**
 * The store of a log one of whose partitions goes into an archive: slots of it that were moved there are read
 * from there, so that readers see the partition whole. What the store has from its floor on it says itself.
 * Everything else is that of the store. The archive is not closed with it.
 */
export const archivedDriver = (
  store: SlotDriver,
  partition: Partition,
  segments: Pick<Segments, 'read'>,
): SlotDriver => {
  const whole = { store, partition, segments, floor: { seen: 1 } };
  return {
    limits: store.limits,
    append: (...append) => store.append(...append),
    load: (...slots) => store.load(...slots),
    read: (which, from, after) =>
      which === partition ? readWhole(whole, from, after) : store.read(which, from, after),
    bounds: (which) => store.bounds(which),
    hints: (which) => store.hints(which),
    trim: (...trim) => store.trim(...trim),
    vault: store.vault,
    snapshots: store.snapshots,
    meta: store.meta,
    report: () => store.report(),
    close: () => store.close(),
  };
};

interface Whole {
  readonly store: Pick<SlotDriver, 'read' | 'bounds'>;
  readonly partition: Partition;
  readonly segments: Pick<Segments, 'read'>;
  /** As it was last seen. */
  readonly floor: { seen: number };
}

/**
 * The store is asked first: nearly every reader wants what is newest. Only where it does not have the slot,
 * or was seen not to have it, is its floor asked for, and then the archive. The floor may rise while the
 * archive is read, and is lower again after the store went back.
 */
async function* readWhole(
  whole: Whole,
  from: number,
  after: Uint8Array | undefined,
): AsyncGenerator<StoredSlot> {
  const { store, partition, segments } = whole;
  let next = from;
  let expected = after;
  for (;;) {
    let isMoved = next < whole.floor.seen && (await isBelowFloor(whole, next));
    if (!isMoved)
      for await (const stored of store.read(partition, next, expected)) {
        isMoved = stored.slot !== next && (await isBelowFloor(whole, next));
        if (isMoved) break;
        yield stored;
        next = stored.slot + 1;
      }
    if (!isMoved) return;
    const { seen: floor } = whole.floor;
    for await (const stored of segments.read(next, floor)) {
      yield stored;
      next = stored.slot + 1;
    }
    next = floor;
    expected = undefined;
  }
}

async function isBelowFloor({ store, partition, floor }: Whole, slot: number): Promise<boolean> {
  floor.seen = (await store.bounds(partition)).floor;
  return slot < floor.seen;
}

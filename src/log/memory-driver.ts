import { Observable, Subject } from 'rxjs';
import { CodedError } from '../base/errors.ts';
import { noHash, ownHash } from './own-hash.ts';
import type { Partition } from './event.ts';
import {
  type Appended,
  type BlobStore,
  type Place,
  refuseLargeReplacement,
  type SlotDriver,
  type StoredSlot,
  StoreWentBack,
} from './slot-driver.ts';

/** What several memory drivers share, as processes share a store. Tests may reach in and spoil it. */
export interface MemoryStore {
  readonly slots: Map<Partition, Map<number, Uint8Array>>;
  readonly floors: Map<Partition, number>;
  readonly vault: Map<string, Uint8Array>;
  readonly snapshots: Map<string, Uint8Array>;
  readonly meta: Map<string, Uint8Array>;
  /** `vault/` and the key, for each that was destroyed. */
  readonly tombstones: Set<string>;
  readonly committed: Subject<Partition>;
}

export const memoryStore = (): MemoryStore => ({
  slots: new Map(),
  floors: new Map(),
  vault: new Map(),
  snapshots: new Map(),
  meta: new Map(),
  tombstones: new Set(),
  committed: new Subject(),
});

/** A separate store with the same content. */
export const copyOfStore = (store: MemoryStore): MemoryStore => ({
  ...memoryStore(),
  slots: new Map([...store.slots].map(([partition, slots]) => [partition, new Map(slots)])),
  floors: new Map(store.floors),
  vault: new Map(store.vault),
  snapshots: new Map(store.snapshots),
  meta: new Map(store.meta),
  tombstones: new Set(store.tombstones),
});

/** Restores `store` to the content of `kept`, under the handles that are open on it. */
export function putBackStore(store: MemoryStore, kept: MemoryStore): void {
  const from = copyOfStore(kept);
  const refill = <K, V>(map: Map<K, V>, entries: ReadonlyMap<K, V>): void => {
    map.clear();
    for (const [key, value] of entries) map.set(key, value);
  };
  refill(store.slots, from.slots);
  refill(store.floors, from.floors);
  refill(store.vault, from.vault);
  refill(store.snapshots, from.snapshots);
  refill(store.meta, from.meta);
  store.tombstones.clear();
  for (const one of from.tombstones) store.tombstones.add(one);
}

const maxBatchBytes = 1024 * 1024;

/** One handle on a store in memory, which ends with the process: for tests. */
export function memoryDriver(store: MemoryStore = memoryStore()): SlotDriver {
  let closed = false;
  const open = async (): Promise<void> => {
    await Promise.resolve();
    if (closed) throw new CodedError('unavailable', 'the store is closed');
  };
  return {
    limits: { maxBatchBytes },
    append: async (partition, after, batch) => {
      await open();
      const appended = appendTo(store, partition, after, batch);
      if (appended.status === 'committed')
        queueMicrotask(() => {
          store.committed.next(partition);
        });
      return appended;
    },
    load: async (partition, slots) => {
      await open();
      const stored = slotsOf(store, partition);
      for (const { slot, batch } of slots) if (!stored.has(slot)) stored.set(slot, Uint8Array.from(batch));
    },
    read: async function* (partition, from, after): AsyncGenerator<StoredSlot> {
      await open();
      if (after !== undefined && !holds(store, partition, { slot: from - 1, hash: after }))
        throw new StoreWentBack(partition, from - 1);
      const { floor, head } = boundsOf(store, partition);
      // Later writes are for the next reading: otherwise this one would never end beside a busy writer.
      const slots = new Map(slotsOf(store, partition));
      for (let slot = Math.max(from, floor); slot <= head; slot++) {
        const batch = slots.get(slot);
        if (batch) yield { slot, batch: Uint8Array.from(batch) };
      }
    },
    bounds: async (partition) => {
      await open();
      return boundsOf(store, partition);
    },
    hints: (partition) =>
      new Observable((subscriber) =>
        store.committed.subscribe((one) => {
          if (one === partition) subscriber.next();
        }),
      ),
    trim: async (partition, before) => {
      await open();
      const { floor, head } = boundsOf(store, partition);
      const raised = Math.max(floor, Math.min(before, head + 1));
      store.floors.set(partition, raised);
      const slots = slotsOf(store, partition);
      for (const slot of [...slots.keys()]) if (slot < raised) slots.delete(slot);
    },
    vault: memoryBlobs(store, 'vault', open),
    snapshots: memoryBlobs(store, 'snapshots', open),
    meta: memoryBlobs(store, 'meta', open),
    report: () => ({
      type: 'memory',
      place: 'this process',
      writes: 'taken',
      trouble: undefined,
      figures: {},
    }),
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}

function slotsOf({ slots }: MemoryStore, partition: Partition): Map<number, Uint8Array> {
  const known = slots.get(partition) ?? new Map<number, Uint8Array>();
  slots.set(partition, known);
  return known;
}

function boundsOf(store: MemoryStore, partition: Partition): { floor: number; head: number } {
  const floor = store.floors.get(partition) ?? 1;
  let head = floor - 1;
  for (const slot of slotsOf(store, partition).keys()) head = Math.max(head, slot);
  return { floor, head };
}

/**
 * Whether the store still holds the batch at `place`; what is below the floor is not known, and counts as
 * held.
 */
function holds(store: MemoryStore, partition: Partition, { slot, hash }: Place): boolean {
  if (slot < boundsOf(store, partition).floor) return true;
  const batch = slotsOf(store, partition).get(slot);
  return batch !== undefined && ownHash(batch).equals(hash);
}

function appendTo(store: MemoryStore, partition: Partition, after: Place, batch: Uint8Array): Appended {
  if (batch.length > maxBatchBytes)
    throw new CodedError('too_large', 'the batch is larger than the store takes');
  const slot = after.slot + 1;
  const { floor, head } = boundsOf(store, partition);
  if (slot < floor) return { status: 'below floor', floor };
  if (slot === 1 && !noHash.equals(after.hash)) return { status: 'predecessor changed' };
  if (!holds(store, partition, after)) return { status: 'predecessor changed' };
  const slots = slotsOf(store, partition);
  if (slots.has(slot)) return { status: 'taken', head };
  slots.set(slot, Uint8Array.from(batch));
  return { status: 'committed' };
}

function memoryBlobs(
  store: MemoryStore,
  name: 'vault' | 'snapshots' | 'meta',
  open: () => Promise<void>,
): BlobStore {
  const { [name]: blobs, tombstones } = store;
  const buried = (key: string): string => `${name}/${key}`;
  const same = (key: string, value: Uint8Array): boolean => {
    const stored = blobs.get(key);
    return stored !== undefined && Buffer.from(stored).equals(value);
  };
  return {
    create: async (key, value) => {
      await open();
      if (tombstones.has(buried(key))) return 'destroyed';
      if (blobs.has(key)) return same(key, value) ? 'created' : 'exists';
      blobs.set(key, Uint8Array.from(value));
      return 'created';
    },
    replace: async (key, from, to) => {
      await open();
      refuseLargeReplacement(from, to);
      if (same(key, to)) return 'replaced';
      if (!same(key, from)) return 'changed';
      blobs.set(key, Uint8Array.from(to));
      return 'replaced';
    },
    get: async (key) => {
      await open();
      return blobs.get(key);
    },
    destroy: async (key) => {
      await open();
      tombstones.add(buried(key));
      blobs.delete(key);
    },
    remove: async (key) => {
      await open();
      blobs.delete(key);
    },
    list: async (prefix) => {
      await open();
      return [...blobs.keys()].filter((key) => key.startsWith(prefix)).sort();
    },
  };
}

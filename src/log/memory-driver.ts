import { Observable, Subject } from 'rxjs';
import { CodedError } from '../base/errors.ts';
import type { Partition } from './event.ts';
import type { BlobStore, SlotDriver, StoredSlot } from './slot-driver.ts';

/** What several memory drivers share, as processes share a store. Tests may reach in and spoil it. */
export interface MemoryStore {
  readonly slots: Map<Partition, Map<number, Uint8Array>>;
  readonly vault: Map<string, Uint8Array>;
  readonly snapshots: Map<string, Uint8Array>;
  readonly committed: Subject<Partition>;
}

export const memoryStore = (): MemoryStore => ({
  slots: new Map(),
  vault: new Map(),
  snapshots: new Map(),
  committed: new Subject(),
});

const maxBatchBytes = 1024 * 1024;

/** One handle on a store in memory. Gone with the process: for tests. */
export function memoryDriver(store: MemoryStore = memoryStore()): SlotDriver {
  const slotsOf = (partition: Partition): Map<number, Uint8Array> => {
    const known = store.slots.get(partition) ?? new Map<number, Uint8Array>();
    store.slots.set(partition, known);
    return known;
  };
  let closed = false;
  const open = (): void => {
    if (closed) throw new CodedError('unavailable', 'the store is closed');
  };
  return {
    limits: { maxBatchBytes },
    commit: async (partition, slot, batch) => {
      await Promise.resolve();
      open();
      if (batch.length > maxBatchBytes)
        throw new CodedError('limit_exceeded', 'the batch is larger than the store takes');
      const slots = slotsOf(partition);
      if (slots.has(slot)) return 'taken';
      slots.set(slot, Uint8Array.from(batch));
      queueMicrotask(() => {
        store.committed.next(partition);
      });
      return 'committed';
    },
    load: async (partition, slots) => {
      await Promise.resolve();
      open();
      const stored = slotsOf(partition);
      for (const { slot, batch } of slots) if (!stored.has(slot)) stored.set(slot, Uint8Array.from(batch));
    },
    read: async function* (partition, from): AsyncGenerator<StoredSlot> {
      await Promise.resolve();
      open();
      const slots = slotsOf(partition);
      // What is written from now on is for the next reading: this one would never end beside a busy writer.
      let [first, last] = [Number.MAX_SAFE_INTEGER, 0];
      for (const slot of slots.keys()) [first, last] = [Math.min(first, slot), Math.max(last, slot)];
      for (let slot = Math.max(from, first); slot <= last; slot++) {
        const batch = slots.get(slot);
        if (batch) yield { slot, batch: Uint8Array.from(batch) };
      }
    },
    hints: (partition) =>
      new Observable((subscriber) =>
        store.committed.subscribe((one) => {
          if (one === partition) subscriber.next();
        }),
      ),
    trim: (partition, before) => {
      for (const slot of [...slotsOf(partition).keys()]) if (slot < before) slotsOf(partition).delete(slot);
      return Promise.resolve();
    },
    vault: memoryBlobs(store.vault),
    snapshots: memoryBlobs(store.snapshots),
    report: () => ({ type: 'memory', place: 'this process', trouble: undefined, figures: {} }),
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}

const memoryBlobs = (blobs: Map<string, Uint8Array>): BlobStore => ({
  put: (key, value) => {
    blobs.set(key, Uint8Array.from(value));
    return Promise.resolve();
  },
  get: (key) => Promise.resolve(blobs.get(key)),
  delete: (key) => {
    blobs.delete(key);
    return Promise.resolve();
  },
  list: (prefix) => Promise.resolve([...blobs.keys()].filter((key) => key.startsWith(prefix)).sort()),
});

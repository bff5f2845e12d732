import { isCoded } from '../../src/base/errors.ts';
import { type Partition, partitions } from '../../src/log/event.ts';
import { boundsOf, floorIn } from './marks.ts';
import { settled } from './settling.ts';
import { freeing, type Store } from './store.ts';
import {
  deleteRange,
  get,
  getRange,
  holding,
  look,
  oneOf,
  put,
  readAll,
  unchanged,
  write,
} from './transactions.ts';

type Floors = Pick<Store, 'peers' | 'keys'>;

/** Slots that are deleted at once: etcd serves nobody while it deletes. */
const trimmedAtOnce = 2_000;

/**
 * See `SlotDriver.trim`. The floor is raised first: a process that dies in between leaves slots below it, for
 * the next trim.
 */
export async function trimSlots(store: Store, partition: Partition, before: number): Promise<void> {
  const floor = await settledFloor(store, partition, before);
  while (await deleteOldest(store, partition, floor));
}

/**
 * Records the floors of a log that has none yet: it is new, or of the previous release. A store that is full
 * is opened anyway, and they are recorded another time.
 */
export async function recordFloors(store: Floors): Promise<void> {
  const { peers, keys } = store;
  const answer = await readAll(
    peers,
    partitions.map((one) => look(keys.floor(one))),
  );
  const missing = partitions.filter((_, n) => oneOf(answer, n) === undefined);
  try {
    for (const partition of missing) await settledFloor(store, partition, 1);
  } catch (e) {
    if (!isCoded(e, 'no_space')) throw e;
  }
}

const settledFloor = (store: Floors, partition: Partition, before: number): Promise<number> =>
  settled(
    () => raiseFloor(store, partition, before),
    async () => {
      const { floor, head, floorKey } = await boundsOf(store, partition);
      return floorKey !== undefined && floor >= Math.min(before, head + 1) ? floor : undefined;
    },
  );

/** The floor from now on; undefined when another process raised it in the meantime. */
async function raiseFloor(store: Floors, partition: Partition, before: number): Promise<number | undefined> {
  const { peers, keys } = store;
  const { floor, head, floorKey } = await boundsOf(store, partition);
  const raised = Math.max(floor, Math.min(before, head + 1));
  if (floorKey !== undefined && raised === floor) return floor;
  const key = keys.floor(partition);
  const { succeeded } = await write(peers, {
    compare: [unchanged(key, floorKey)],
    success: [put(key, String(raised))],
  });
  return succeeded ? raised : undefined;
}

/** Deletes from the oldest on, some at a time. False when nothing is left below the floor. */
async function deleteOldest(store: Store, partition: Partition, floor: number): Promise<boolean> {
  const { peers, keys, freed } = store;
  const oldest = async (): Promise<number | undefined> => {
    const range = { from: keys.slot(partition, 0), end: keys.slot(partition, floor) };
    const found = oneOf(await readAll(peers, [getRange({ ...range, limit: 1, keysOnly: true })]), 0);
    return found && keys.slotOf(found.key);
  };
  const first = await oldest();
  if (first === undefined) return false;
  const end = Math.min(floor, first + trimmedAtOnce);
  const range = { from: keys.slot(partition, first), end: keys.slot(partition, end) };
  const floorKey = keys.floor(partition);
  const deletion = {
    compare: [holding(floorKey, String(floor))],
    success: [deleteRange(range)],
    failure: [get(floorKey)],
  };
  return settled(
    async () => {
      const answer = await freeing(freed, () => write(peers, deletion));
      // Another process raised it in the meantime, and deletes these as well.
      if (!answer.succeeded)
        return (await floorIn(store, partition, oneOf(answer, 0))) > floor ? false : undefined;
      return true;
    },
    async () => {
      const left = await oldest();
      return left === undefined || left >= end ? true : undefined;
    },
  );
}

import type { Partition } from '../../src/log/event.ts';
import type { Bounds } from '../../src/log/slot-driver.ts';
import { parseHead } from './head.ts';
import { readRange } from './ranges.ts';
import type { Store } from './store.ts';
import { type Found, get, getRange, oneOf, readAll } from './transactions.ts';

type Reading = Pick<Store, 'peers' | 'keys'>;

/**
 * The value of the floor's key. Where it is not recorded (a log of the previous release): the oldest slot, or
 * 1.
 */
export const floorIn = async (
  store: Reading,
  partition: Partition,
  found: Found | undefined,
): Promise<number> => (found === undefined ? oldestSlot(store, partition) : Number(found.value.toString()));

export async function oldestSlot({ peers, keys }: Reading, partition: Partition): Promise<number> {
  const range = { from: keys.slot(partition, 0), end: keys.slotsEnd(partition), limit: 1, keysOnly: true };
  const oldest = oneOf(await readAll(peers, [getRange(range)]), 0);
  return oldest === undefined ? 1 : keys.slotOf(oldest.key);
}

/** Floor and head, and the floor's key as it was found. */
export async function boundsOf(
  store: Reading,
  partition: Partition,
): Promise<Bounds & { readonly floorKey: Found | undefined }> {
  const { peers, keys } = store;
  const answer = await readAll(peers, [get(keys.head(partition)), get(keys.floor(partition))]);
  const [headKey, floorKey] = [oneOf(answer, 0), oneOf(answer, 1)];
  const floor = await floorIn(store, partition, floorKey);
  return { floor, head: Math.max(floor - 1, await headIn(store, partition, headKey)), floorKey };
}

/**
 * A head without a hash may come from a process that was suspended in the meantime: it may be too low, never
 * too high.
 */
async function headIn(
  { peers, keys }: Reading,
  partition: Partition,
  found: Found | undefined,
): Promise<number> {
  const head = found && parseHead(found.value);
  if (head?.hash) return head.slot;
  let newest = head?.slot ?? 0;
  const range = { from: keys.slot(partition, newest), end: keys.slotsEnd(partition), keysOnly: true };
  for await (const { key } of readRange(peers, range)) newest = keys.slotOf(key);
  return newest;
}

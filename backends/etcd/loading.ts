import { ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import type { StoredSlot } from '../../src/log/slot-driver.ts';
import { headValue, parseHead } from './head.ts';
import { settled } from './settling.ts';
import type { Store } from './store.ts';
import { absent, type Found, get, look, oneOf, put, readAll, unchanged, write } from './transactions.ts';

/** Slots on their way at once. */
const atOnce = 16;

/** See `SlotDriver.load`. */
export async function loadSlots(
  store: Store,
  partition: Partition,
  slots: readonly StoredSlot[],
): Promise<void> {
  for (let n = 0; n < slots.length; n += atOnce)
    await Promise.all(slots.slice(n, n + atOnce).map((one) => loadSlot(store, partition, one)));
  const [newest] = [...slots].sort((a, b) => b.slot - a.slot);
  if (newest !== undefined) await setHead(store, partition, newest);
}

async function loadSlot(
  { peers, keys, wrote }: Store,
  partition: Partition,
  { slot, batch }: StoredSlot,
): Promise<void> {
  const key = keys.slot(partition, slot);
  await settled(
    async () => {
      const { succeeded } = await write(peers, { compare: [absent(key)], success: [put(key, batch)] });
      if (succeeded) wrote();
      return true;
    },
    async () => (oneOf(await readAll(peers, [look(key)]), 0) ? true : undefined),
  );
}

async function setHead({ peers, keys }: Store, partition: Partition, newest: StoredSlot): Promise<void> {
  const key = keys.head(partition);
  const headKey = async (): Promise<Found | undefined> => oneOf(await readAll(peers, [get(key)]), 0);
  const isThere = (found: Found | undefined): boolean =>
    ((found && parseHead(found.value)?.slot) ?? 0) >= newest.slot;
  await settled(
    async () => {
      const found = await headKey();
      if (isThere(found)) return true;
      // The slot named there is the stored one, which may be another's.
      const stored = oneOf(await readAll(peers, [get(keys.slot(partition, newest.slot))]), 0);
      const hash = ownHash(stored?.value ?? newest.batch);
      const { succeeded } = await write(peers, {
        compare: [unchanged(key, found)],
        success: [put(key, headValue({ slot: newest.slot, hash }))],
      });
      return succeeded ? true : undefined;
    },
    async () => (isThere(await headKey()) ? true : undefined),
  );
}

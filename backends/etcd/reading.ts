import { CodedError } from '../../src/base/errors.ts';
import { ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import { type Place, type StoredSlot, StoreWentBack } from '../../src/log/slot-driver.ts';
import { headValue } from './head.ts';
import { floorIn } from './marks.ts';
import { pagesFrom } from './ranges.ts';
import type { Store } from './store.ts';
import { get, getRange, holding, oneOf, type Page, present, readAll } from './transactions.ts';

type Reading = Pick<Store, 'peers' | 'keys'>;

interface SlotPage extends Page {
  readonly floor: number;
  /** The head is the known batch: there is nothing newer, and nothing was read. */
  readonly unchanged: boolean;
}

/** Slots in the first response. */
const firstPage = 8;

/**
 * See `SlotDriver.read`. Each page contains the floor as of when it was read: slots trimmed in the meantime
 * are not missing.
 */
export async function* slotsFrom(
  store: Reading,
  partition: Partition,
  from: number,
  after?: Uint8Array,
): AsyncGenerator<StoredSlot> {
  const { keys } = store;
  const known = after === undefined || from <= 1 ? undefined : { slot: from - 1, hash: after };
  let next: number | undefined;
  const pages = pagesFrom(keys.slot(partition, known?.slot ?? from), firstPage, (start, limit) =>
    slotPage(store, partition, { start, limit, known: next === undefined ? known : undefined }),
  );
  for await (const { found, floor, unchanged } of pages) {
    if (unchanged) return;
    const slots = found.map(({ key, value }) => ({ slot: keys.slotOf(key), batch: value }));
    if (next === undefined) checkKnown(partition, known, floor, slots[0]);
    else checkTrimmed(partition, next, floor);
    next ??= Math.max(from, floor);
    for (const one of slots)
      if (one.slot >= next) {
        yield one;
        next = one.slot + 1;
      }
  }
}

/** With `known`, slots from the known one on, unless it is still the newest, which costs nothing to check. */
async function slotPage(
  store: Reading,
  partition: Partition,
  { start, limit, known }: { start: Buffer; limit: number; known: Place | undefined },
): Promise<SlotPage> {
  const { peers, keys } = store;
  const floorKey = get(keys.floor(partition));
  const all = [floorKey, getRange({ from: start, end: keys.slotsEnd(partition), limit })];
  const answer = await readAll(
    peers,
    known === undefined
      ? all
      : {
          compare: [
            holding(keys.head(partition), headValue(known)),
            present(keys.slot(partition, known.slot)),
          ],
          success: [floorKey],
          failure: all,
        },
  );
  if (known !== undefined && answer.succeeded) return { found: [], more: false, floor: 0, unchanged: true };
  const { found, more } = answer.pages[1] ?? { found: [], more: false };
  return { found, more, floor: await floorIn(store, partition, oneOf(answer, 0)), unchanged: false };
}

/** @throws StoreWentBack */
function checkKnown(
  partition: Partition,
  known: Place | undefined,
  floor: number,
  stored: StoredSlot | undefined,
): void {
  if (known === undefined || known.slot < floor) return;
  if (stored?.slot !== known.slot || !ownHash(stored.batch).equals(known.hash))
    throw new StoreWentBack(partition, known.slot);
}

function checkTrimmed(partition: Partition, next: number, floor: number): void {
  if (next < floor) throw new CodedError('unavailable', `the ${partition} log was trimmed while it was read`);
}

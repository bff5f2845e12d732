import type { ICompare } from 'etcd3';
import { CodedError } from '../../src/base/errors.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import type { Appended, Place } from '../../src/log/slot-driver.ts';
import { UnsettledWrite } from './answers.ts';
import { type Head, headValue, parseHead } from './head.ts';
import { floorIn } from './marks.ts';
import type { Store } from './store.ts';
import {
  absent,
  type Answer,
  type Found,
  get,
  holding,
  look,
  oneOf,
  present,
  put,
  readAll,
  unchanged,
  write,
} from './transactions.ts';

const tries = 8;
const changed: Appended = { status: 'predecessor changed' };

/** One transaction that requires that the head is `after`. @throws CodedError: see `SlotDriver.append`. */
export async function appendSlot(
  store: Store,
  partition: Partition,
  after: Place,
  batch: Uint8Array,
): Promise<Appended> {
  if (after.slot === 0 && !noHash.equals(after.hash)) return changed;
  try {
    const appended = await appendAfter(store, partition, after, batch);
    if (appended.status === 'committed') store.wrote();
    return appended;
  } catch (e) {
    if (!(e instanceof UnsettledWrite) || e.refusal === undefined) throw e;
    store.wrote(e.refusal);
    return whatCame(store, partition, after.slot + 1, batch, e);
  }
}

async function appendAfter(
  store: Store,
  partition: Partition,
  after: Place,
  batch: Uint8Array,
): Promise<Appended> {
  const { keys, peers } = store;
  const slot = keys.slot(partition, after.slot + 1);
  const [head, before] = [keys.head(partition), keys.slot(partition, after.slot)];
  const written = { slot: after.slot + 1, hash: ownHash(batch) };
  let demands = after.slot === 0 ? [absent(head)] : [holding(head, headValue(after)), present(before)];
  for (let n = 0; n < tries; n++) {
    const { succeeded } = await write(peers, {
      compare: [...demands, absent(slot)],
      success: [put(slot, batch), put(head, headValue(written))],
    });
    if (succeeded) return { status: 'committed' };
    // Read only now: carrying the reads along would cost every append more than it saves those that fail.
    const asked = [get(head), get(keys.floor(partition)), look(slot), look(before)];
    const next = await judged(store, partition, after, await readAll(peers, asked));
    if ('status' in next) return next;
    ({ demands } = next);
  }
  throw new CodedError('unavailable', 'etcd: the head of the log changes all the time');
}

/** What an append that was refused found, at one revision. */
interface Seen {
  readonly headKey: Found | undefined;
  readonly head: Head | undefined;
  readonly floorKey: Found | undefined;
  readonly floor: number;
  /** Slot and predecessor, their keys only. */
  readonly slot: Found | undefined;
  readonly before: Found | undefined;
}

async function seenIn(store: Store, partition: Partition, answer: Answer): Promise<Seen> {
  const [headKey, floorKey, slot, before] = [0, 1, 2, 3].map((n) => oneOf(answer, n));
  const floor = await floorIn(store, partition, floorKey);
  return { headKey, head: headKey && parseHead(headKey.value), floorKey, floor, slot, before };
}

/** Why an append was refused; or, where only the form of the head was the cause, what to require instead. */
async function judged(
  store: Store,
  partition: Partition,
  after: Place,
  answer: Answer,
): Promise<Appended | { readonly demands: ICompare[] }> {
  const seen = await seenIn(store, partition, answer);
  const { floor } = seen;
  const slot = after.slot + 1;
  if (slot < floor) return { status: 'below floor', floor };
  const newest = newestIn(seen);
  // A head beyond a missing slot: a reader of the rest notices that it is missing.
  if (seen.slot !== undefined || newest > after.slot)
    return { status: 'taken', head: Math.max(slot, newest) };
  const before = await predecessorIn(store, partition, after, seen);
  return before === undefined
    ? changed
    : { demands: [unchanged(store.keys.head(partition), seen.headKey), before] };
}

/** The condition that the predecessor is unchanged; undefined when it is not the expected batch. */
async function predecessorIn(
  store: Store,
  partition: Partition,
  after: Place,
  seen: Seen,
): Promise<ICompare | undefined> {
  const { head, before, floor, floorKey } = seen;
  const named = head?.hash && isSame(after, { slot: head.slot, hash: head.hash });
  if (named === false) return undefined;
  if (before !== undefined) {
    const meant = named ?? (await isBatch(store, before, after.hash));
    return meant ? unchanged(before.key, before) : undefined;
  }
  // Trimmed: only the head shows what it was, if at all.
  const givenUp = after.slot < floor && newestIn(seen) === after.slot;
  return givenUp ? unchanged(store.keys.floor(partition), floorKey) : undefined;
}

const isSame = (a: Place, b: Place): boolean => a.slot === b.slot && Buffer.from(a.hash).equals(b.hash);

const newestIn = ({ head }: Seen): number => head?.slot ?? 0;

/** Whether a slot still holds the batch of this hash, as it was when its key was found. */
async function isBatch({ peers }: Store, { key, revision }: Found, hash: Uint8Array): Promise<boolean> {
  const stored = oneOf(await readAll(peers, [get(key)]), 0);
  return stored?.revision === revision && ownHash(stored.value).equals(hash);
}

/**
 * etcd refused an append: it has carried it out by now, or never will.
 * @throws CodedError the refusal, when it never will.
 */
async function whatCame(
  { peers, keys }: Store,
  partition: Partition,
  slot: number,
  batch: Uint8Array,
  unsettled: UnsettledWrite,
): Promise<Appended> {
  let stored;
  try {
    stored = oneOf(await readAll(peers, [get(keys.slot(partition, slot))]), 0);
  } catch {
    throw unsettled;
  }
  if (stored === undefined) throw unsettled.refusal ?? unsettled;
  return stored.value.equals(batch) ? { status: 'committed' } : { status: 'taken', head: slot };
}

import type { Partition } from '../../src/log/event.ts';
import type { StoredSlot } from '../../src/log/slot-driver.ts';
import { deleteRange, type Freed } from './deletion.ts';
import type { Keys } from './keys.ts';
import { commitTimeoutMs } from './options.ts';
import type { Peers } from './peers.ts';
import { readRange } from './ranges.ts';

/** Slots that are deleted at once: etcd serves nobody while it deletes. */
const trimmedAtOnce = 2_000;

/** @throws CodedError: see `SlotDriver.commit`. */
export async function commitSlot(
  peers: Peers,
  keys: Keys,
  partition: Partition,
  { slot, batch }: StoredSlot,
): Promise<'committed' | 'taken'> {
  const key = Buffer.from(keys.slot(partition, slot));
  const head = Buffer.from(keys.head(partition));
  const { succeeded } = await peers.call(
    (client, options) =>
      client.kv.txn(
        {
          compare: [{ key, target: 'Version', result: 'Equal', version: 0 }],
          success: [
            { request_put: { key, value: Buffer.from(batch) } },
            { request_put: { key: head, value: Buffer.from(String(slot)) } },
          ],
        } as never,
        options,
      ),
    { writing: true, timeoutMs: commitTimeoutMs },
  );
  return succeeded ? 'committed' : 'taken';
}

export async function* slotsFrom(
  peers: Peers,
  keys: Keys,
  partition: Partition,
  from: number,
): AsyncGenerator<StoredSlot> {
  const range = { from: keys.slot(partition, from), end: keys.slotsEnd(partition) };
  for await (const { key, value } of readRange(peers, range)) yield { slot: keys.slotOf(key), batch: value };
}

/** Deletes from the oldest on, so that whatever stays begins with a slot and has no gap, also when this ends half way. */
export async function trimSlots(
  peers: Peers,
  keys: Keys,
  partition: Partition,
  before: number,
  freed: Freed,
): Promise<void> {
  for (;;) {
    const { kvs } = await peers.call((client, options) =>
      client.kv.range(
        {
          key: Buffer.from(keys.slot(partition, 0)),
          range_end: Buffer.from(keys.slot(partition, before)),
          limit: 1,
          keys_only: true,
        },
        options,
      ),
    );
    const oldest = kvs[0]?.key.toString();
    if (oldest === undefined) return;
    const end = Math.min(before, keys.slotOf(oldest) + trimmedAtOnce);
    await deleteRange(peers, { from: oldest, end: keys.slot(partition, end) }, freed);
  }
}

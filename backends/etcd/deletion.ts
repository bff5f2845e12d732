import type { Peers } from './peers.ts';

/**
 * Hears of what was deleted: etcd's revision by then, or nothing when no answer came and it may have been done. A later
 * revision would do as well, an earlier one would not.
 */
export type Freed = (revision?: string) => void;

/** Deletes a range for good, as far as we can: `freed` sees to it that etcd's history forgets it too. */
export async function deleteRange(
  peers: Peers,
  range: { readonly from: string; readonly end: string },
  freed: Freed,
): Promise<void> {
  try {
    const { header } = await peers.call((client, options) =>
      client.kv.deleteRange({ key: Buffer.from(range.from), range_end: Buffer.from(range.end) }, options),
    );
    // Also when nothing was there any more: a peer that gave no answer may have deleted it.
    freed(header.revision);
  } catch (e) {
    freed();
    throw e;
  }
}

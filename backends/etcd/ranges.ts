import type { Etcd3 } from 'etcd3';
import { isCoded } from '../../src/base/errors.ts';
import type { Peers } from './peers.ts';

export interface Found {
  readonly key: string;
  readonly value: Buffer;
  /** Of etcd, when it was written. */
  readonly revision: string;
}

/** Keys in one answer. */
const firstPage = 8;
const mostKeys = 1_000;
const wantedBytes = 1024 * 1024;

/**
 * Every key from `from` up to `end`, as of now, in order: linearizable, in pages by bytes. etcd pages by count only: the
 * count is chosen by what came before, and made smaller when an answer is too large for us all the same.
 */
export async function* readRange(
  peers: Peers,
  range: { readonly from: string; readonly end: string; readonly keysOnly?: boolean },
): AsyncGenerator<Found> {
  const { keysOnly = false } = range;
  const end = Buffer.from(range.end);
  let from = Buffer.from(range.from);
  let limit = keysOnly ? mostKeys : firstPage;
  for (;;) {
    const page = await pageOf(peers, { from, end, limit, keysOnly });
    if (page === 'too large') {
      limit = Math.max(1, Math.floor(limit / 4));
      continue;
    }
    let bytes = 0;
    for (const { key, value, mod_revision: revision } of page.kvs) {
      bytes += value.length;
      yield { key: key.toString(), value, revision };
    }
    const last = page.kvs.at(-1);
    if (!page.more || last === undefined) return;
    from = Buffer.concat([last.key, Buffer.of(0)]);
    const mean = Math.max(1, bytes / page.kvs.length);
    if (!keysOnly) limit = Math.max(1, Math.min(mostKeys, 4 * limit, Math.floor(wantedBytes / mean)));
  }
}

async function pageOf(
  peers: Peers,
  { from, end, limit, keysOnly }: { from: Buffer; end: Buffer; limit: number; keysOnly: boolean },
): Promise<Awaited<ReturnType<Etcd3['kv']['range']>> | 'too large'> {
  try {
    return await peers.call((client, options) =>
      client.kv.range({ key: from, range_end: end, limit, keys_only: keysOnly }, options),
    );
  } catch (e) {
    if (limit > 1 && isCoded(e, 'too_large')) return 'too large';
    throw e;
  }
}

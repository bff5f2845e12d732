import { isCoded } from '../../src/base/errors.ts';
import type { Peers } from './peers.ts';
import { type Found, getRange, type Page, readAll } from './transactions.ts';

/** Keys in one response. */
const firstPage = 8;
const mostKeys = 1_000;
const wantedBytes = 1024 * 1024;

/**
 * Every key from `from` up to `end`, as of now, in order: linearizable, in pages by bytes.
 */
export async function* readRange(
  peers: Pick<Peers, 'call'>,
  range: { readonly from: string; readonly end: string; readonly keysOnly?: boolean },
): AsyncGenerator<Found> {
  const { keysOnly = false, end } = range;
  const pages = pagesFrom(range.from, keysOnly ? mostKeys : firstPage, async (from, limit) => {
    const {
      pages: [page = nothing],
    } = await readAll(peers, [getRange({ from, end, limit, keysOnly })]);
    return page;
  });
  for await (const { found } of pages) yield* found;
}

const nothing: Page = { found: [], more: false };

/**
 * etcd pages by count only: the count is chosen by the previous sizes, and reduced when a response is still
 * too large for us.
 */
export async function* pagesFrom<P extends Page>(
  start: string,
  first: number,
  ask: (from: Buffer, limit: number) => Promise<P>,
): AsyncGenerator<P> {
  let from = Buffer.from(start);
  let limit = first;
  for (;;) {
    const page = await unlessTooLarge(limit, () => ask(from, limit));
    if (page === 'too large') {
      limit = Math.max(1, Math.floor(limit / 4));
      continue;
    }
    yield page;
    const last = page.found.at(-1);
    if (!page.more || last === undefined) return;
    from = Buffer.concat([Buffer.from(last.key), Buffer.of(0)]);
    const bytes = page.found.reduce((sum, { value }) => sum + value.length, 0);
    const mean = Math.max(1, bytes / page.found.length);
    limit = Math.max(1, Math.min(mostKeys, 4 * limit, Math.floor(wantedBytes / mean)));
  }
}

async function unlessTooLarge<T>(limit: number, ask: () => Promise<T>): Promise<T | 'too large'> {
  try {
    return await ask();
  } catch (e) {
    if (limit > 1 && isCoded(e, 'too_large')) return 'too large';
    throw e;
  }
}

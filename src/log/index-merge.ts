import { setImmediate as turn } from 'node:timers/promises';
import type { IndexEntry, IndexRun } from './index-run.ts';

/** How many entries are sorted, or passed on, in one turn of the event loop. */
const slice = 2_048;

/**
 * Which of the runs, oldest first, are rewritten together with `added` newer entries: from the newest on,
 * each that is not larger than all that goes with it. So each is at least twice the next, there are few, and
 * an entry is written some twenty times among a million, not at every snapshot.
 */
export function runsToMerge(runs: readonly IndexRun[], added: number): readonly IndexRun[] {
  let from = runs.length;
  let total = added;
  for (let at = runs.length - 1; at >= 0; at--) {
    const streams = runs[at]?.ref.streams ?? 0;
    if (streams > total) break;
    total += streams;
    from = at;
  }
  return runs.slice(from);
}

interface Cursor {
  readonly parts: AsyncIterator<readonly IndexEntry[]>;
  entries: readonly IndexEntry[];
  at: number;
}

/** All entries by name, each name once, from the first source that has it. */
export async function* merged(
  sources: readonly AsyncIterable<readonly IndexEntry[]>[],
): AsyncGenerator<readonly IndexEntry[]> {
  let cursors: Cursor[] = sources.map((one) => ({ parts: one[Symbol.asyncIterator](), entries: [], at: 0 }));
  let out: IndexEntry[] = [];
  for (;;) {
    for (const cursor of cursors) if (cursor.at >= cursor.entries.length) await advance(cursor);
    cursors = cursors.filter((one) => one.entries.length > 0);
    if (cursors.length === 0) break;
    // Until one of them has to be read on.
    while (cursors.every((one) => one.at < one.entries.length)) {
      const next = least(cursors);
      if (next) out.push(next);
      if (out.length < slice) continue;
      yield out;
      out = [];
    }
  }
  yield out;
}

async function advance(cursor: Cursor): Promise<void> {
  const next = await cursor.parts.next();
  cursor.entries = next.done ? [] : next.value;
  cursor.at = 0;
}

/** Takes the smallest name off all cursors. */
function least(cursors: readonly Cursor[]): IndexEntry | undefined {
  let found: IndexEntry | undefined;
  for (const { entries, at } of cursors) {
    const entry = entries[at];
    if (entry && (found === undefined || entry[0] < found[0])) found = entry;
  }
  for (const cursor of cursors) if (cursor.entries[cursor.at]?.[0] === found?.[0]) cursor.at++;
  return found;
}

/**
 * Sources for `merged` of entries in any order, each name once: sorted in slices, with a turn of the loop
 * between.
 */
export async function sortedSlices(
  entries: readonly IndexEntry[],
): Promise<AsyncIterable<readonly IndexEntry[]>[]> {
  const slices: AsyncIterable<readonly IndexEntry[]>[] = [];
  for (let from = 0; from < entries.length; from += slice) {
    slices.push(once(entries.slice(from, from + slice).sort((a, b) => (a[0] < b[0] ? -1 : 1))));
    await turn();
  }
  return slices;
}

async function* once(entries: readonly IndexEntry[]): AsyncGenerator<readonly IndexEntry[]> {
  await Promise.resolve();
  yield entries;
}

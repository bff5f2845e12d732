import { beforeEach, describe, expect, it } from 'vitest';
import { cause, fact, open } from './copy-testing.ts';
import type { ClusterLog } from './event-log.ts';
import type { StreamName } from './event.ts';
import { memoryStore } from './memory-driver.ts';
import { collect, collectUntil } from './testing.ts';

let log: ClusterLog;
beforeEach(async () => {
  log = await open(memoryStore());
});

async function append(stream: StreamName, ...numbers: number[]): Promise<void> {
  const expected = await log.presence.revision(stream);
  await log.presence.append([{ stream, expected, facts: numbers.map(fact) }], cause);
}
async function snapshot(): Promise<void> {
  // After its own fact: then nothing before it is needed.
  const views = [{ name: 'seen', position: (await log.presence.head()) + 1, state: {} }];
  await log.takeSnapshot('presence', views, { trim: true }, cause);
}
const revisions = (events: readonly { readonly revision: number }[]): number[] =>
  events.map(({ revision }) => revision);

describe('reading a stream', () => {
  it('gives what comes after a revision, in order, over many slots', async () => {
    for (let n = 0; n < 600; n++) await append(n % 5 === 0 ? 'a-1' : 'b-1', n);
    const all = await collect(log.presence.read('a-1'));
    expect(revisions(all)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    expect(all.map((event) => event.fact.data)).toEqual(
      Array.from({ length: 120 }, (_, i) => ({ n: i * 5 })),
    );
    expect(revisions(await collect(log.presence.read('a-1', 117)))).toEqual([118, 119, 120]);
    expect(await collect(log.presence.read('a-1', 120))).toEqual([]);
    expect(await collect(log.presence.read('c-1'))).toEqual([]);
  });

  it('never gives a trimmed stream as a short one', async () => {
    await append('d-1', 0);
    for (let n = 0; n < 20; n++) await append(n % 2 === 0 ? 'a-1' : 'b-1', n);
    for (const n of [20, 21, 22]) {
      await snapshot(); // trims what lies behind the one before
      await append('c-1', n);
    }
    for (let n = 20; n < 24; n++) await append(n % 2 === 0 ? 'a-1' : 'b-1', n);
    const head = await log.presence.revision('a-1');
    expect(head).toBe(12);
    for (let after = 0; after < head; after++) {
      const read = collect(log.presence.read('a-1', after));
      const events = await read.catch((e: unknown) => e);
      if (Array.isArray(events))
        expect(revisions(events as { revision: number }[])).toEqual(upTo(after, head));
      else expect(events).toMatchObject({ code: 'cursor_too_old' });
    }
    const [early] = revisions(await collectUntil(log.presence.read('a-1'), 'cursor_too_old'));
    expect(early).toBeUndefined();
    // Of which nothing is left.
    expect(await collectUntil(log.presence.read('d-1'), 'cursor_too_old')).toEqual([]);
    expect(revisions(await collect(log.presence.read('a-1', 10)))).toEqual([11, 12]);
  });
});

const upTo = (after: number, head: number): number[] =>
  Array.from({ length: head - after }, (_, i) => after + i + 1);

import { beforeEach, describe, expect, it } from 'vitest';
import type { Batch } from './batch.ts';
import { cause, fact, open } from './copy-testing.ts';
import type { ClusterLog } from './event-log.ts';
import type { StreamName } from './event.ts';
import { memoryStore } from './memory-driver.ts';
import type { PartitionReader } from './partition-reader.ts';
import { HeapStreams } from './stream-index.ts';
import { readStream } from './stream-reader.ts';
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

describe('an old stream whose index is sparse', () => {
  const slots = 6_000;
  /** Of one event each; every seventh slot has two of `user-1`, every third one of `user-2`. */
  const streamsAt = (slot: number): readonly StreamName[] =>
    slot % 7 === 0 ? ['user-1', 'user-1'] : slot % 3 === 0 ? ['user-2'] : ['user-3'];

  /** A reader over such slots, and how many of them were read. */
  function oldReader(): { readonly reader: PartitionReader; readonly read: () => number } {
    const streams = new HeapStreams(0);
    const revisions = new Map<StreamName, number>();
    const batches = new Map<number, Batch>();
    for (let slot = 1; slot <= slots; slot++) {
      const events = streamsAt(slot).map((stream) => {
        const revision = (revisions.get(stream) ?? 0) + 1;
        revisions.set(stream, revision);
        streams.add(stream, slot, revision);
        return { stream, revision };
      });
      batches.set(slot, { slot, events } as unknown as Batch);
    }
    let read = 0;
    const reader = {
      fold: { streams, recall: () => Promise.resolve() },
      async *batches(from: number) {
        for (let slot = from; slot <= slots; slot++) {
          await Promise.resolve();
          read++;
          const batch = batches.get(slot);
          if (batch) yield batch;
        }
      },
    } as unknown as PartitionReader;
    return { reader, read: () => read };
  }

  it('is given whole, from any revision on', async () => {
    const { reader } = oldReader();
    for (const stream of ['user-1', 'user-2', 'user-3'] as const) {
      const index = reader.fold.streams.get(stream);
      expect(index).toMatchObject({ sparse: true });
      const head = index?.revision ?? 0;
      for (const after of [0, 1, 2, Math.floor(head / 3), head - 40, head - 2, head - 1, head])
        expect(revisions(await collect(readStream(reader, stream, after)))).toEqual(upTo(after, head));
    }
  });

  it('costs little to read at its end', async () => {
    const { reader, read } = oldReader();
    const head = reader.fold.streams.get('user-1')?.revision ?? 0;
    await collect(readStream(reader, 'user-1', head - 2));
    expect(read()).toBeLessThan(20);
  });

  it('is not searched for beyond where an entry stands for one event', async () => {
    const streams = new HeapStreams();
    streams.restore('user-1', {
      revision: 3,
      slots: [2, 900, 5_000],
      firstRevisions: [1, 2, 3],
      sparse: true,
    });
    const read: number[] = [];
    const reader = {
      fold: { streams, recall: () => Promise.resolve() },
      async *batches(from: number) {
        await Promise.resolve();
        for (let slot = from; ; slot++) {
          read.push(slot);
          yield { slot, events: [{ stream: 'user-1', revision: read.length }] };
        }
      },
    } as unknown as PartitionReader;
    expect(revisions(await collect(readStream(reader, 'user-1', 0)))).toEqual([1, 2, 3]);
    expect(read).toEqual([2, 900, 5_000]);
  });
});

const upTo = (after: number, head: number): number[] =>
  Array.from({ length: head - after }, (_, i) => after + i + 1);

import { describe, expect, it } from 'vitest';
import { memoryObjects } from '../base/memory-objects.ts';
import type { Chunk } from './chunk.ts';
import { ChunkCutter } from './chunk-cutter.ts';
import { RecordingStore } from './recording-store.ts';
import { testKey, testSid } from './testing.ts';
import { verifyRecordings } from './verify-recordings.ts';

function chunks(count: number): Chunk[] {
  const cutter = new ChunkCutter({ sid: testSid, key: testKey, elapsedMs: () => 0, wallMs: () => 0 });
  return Array.from({ length: count }, (_, i) => {
    cutter.add({ type: 'output', bytes: Buffer.from(`chunk ${i}`) });
    const chunk = cutter.cut(i === count - 1);
    if (chunk === undefined) throw new Error('none');
    return chunk;
  });
}

async function stored(...parts: readonly Chunk[][]) {
  const values = new Map<string, Uint8Array>();
  const store = new RecordingStore(memoryObjects(values));
  for (const part of parts) await store.store(testSid, part);
  return { values, store };
}
const toldOf = (all: readonly Chunk[], wasStored = true) => ({
  ...{ sid: testSid, chunks: all.length, wasStored },
  head: all.at(-1)?.hash.toString('hex') ?? '',
});

describe('recordings', () => {
  it('that are what the log says are whole', async () => {
    const all = chunks(4);
    const { store } = await stored(all.slice(0, 1), all.slice(1));
    expect(await verifyRecordings(store, [toldOf(all)])).toEqual({
      ...{ whole: 1, chunks: 4, waiting: [], faults: [] },
    });
  });

  it('cut at their end, or not there at all, are missing once the log says they were stored', async () => {
    const all = chunks(4);
    const { store } = await stored(all.slice(0, 3));
    expect(await verifyRecordings(store, [toldOf(all)])).toMatchObject({
      faults: [`the recording of session ${testSid}: chunk 3 of 4 is missing`],
    });
    expect(await verifyRecordings(store, [toldOf(all, false)])).toMatchObject({
      ...{ waiting: [testSid], faults: [] },
    });
    const other = { ...toldOf(all), sid: '0b0a5b1e-3f2b-4c5d-8e9f-000000000002' };
    expect((await verifyRecordings(store, [other])).faults).toEqual([
      `the recording of session ${other.sid}: chunk 0 of 4 is missing`,
    ]);
  });

  it('changed anywhere name the first chunk that is not as it was', async () => {
    const all = chunks(3);
    for (const [at, bad] of [
      [0, 'no chunk of a recording begins here'],
      [10, 'chunk 0 is of another session'],
      [100, 'chunk 1 does not continue the one before it'],
    ] as const) {
      const { values, store } = await stored(all);
      const [name = ''] = values.keys();
      const bytes = Buffer.from(values.get(name) ?? '');
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      values.set(name, bytes);
      const { faults } = await verifyRecordings(store, [toldOf(all)]);
      expect(faults).toEqual([expect.stringContaining(bad)]);
      expect(faults[0]).toContain(testSid);
    }
  });

  it('whose last chunk was changed differ from the head on the log', async () => {
    const all = chunks(2);
    const { values, store } = await stored(all.slice(0, 1), all.slice(1));
    const name = [...values.keys()].at(-1) ?? '';
    const bytes = Buffer.from(values.get(name) ?? '');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    values.set(name, bytes);
    expect((await verifyRecordings(store, [toldOf(all)])).faults).toEqual([
      `the recording of session ${testSid}: chunk 1 is not what the log says the last one was`,
    ]);
  });

  it('that were exchanged for another whole one are found', async () => {
    const all = chunks(3);
    const { store } = await stored(chunks(2));
    expect((await verifyRecordings(store, [toldOf(all)])).faults).toHaveLength(1);
  });
});

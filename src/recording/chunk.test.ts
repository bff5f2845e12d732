import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  after,
  breakOf,
  type Chunk,
  isSessionId,
  noChunks,
  openChunk,
  readChunk,
  sealChunk,
} from './chunk.ts';
import { testKey, testSid } from './testing.ts';

function chain(frames: readonly Uint8Array[]): Chunk[] {
  let end = noChunks;
  return frames.map((bytes, number) => {
    const isLast = number === frames.length - 1;
    const head = {
      sid: testSid,
      number,
      isLast,
      wallMs: 1_000,
      startMs: number * 500,
      outputBefore: 0,
      outputBytes: 3,
    };
    const chunk = sealChunk({ ...head, before: end.hash }, bytes, testKey);
    end = after(chunk);
    return chunk;
  });
}

const found = (bytes: Buffer): Chunk => {
  const read = readChunk(bytes);
  if (read.status !== 'chunk') throw new Error(read.status);
  return read.chunk;
};

describe('chunks', () => {
  it('are read as they were sealed, and open', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 500 }), { minLength: 1, maxLength: 5 }), (frames) => {
        const chunks = chain(frames);
        let rest = Buffer.concat(chunks.map(({ bytes }) => bytes));
        let end = noChunks;
        for (const [i, sealed] of chunks.entries()) {
          const chunk = found(rest);
          expect(chunk.head).toEqual(sealed.head);
          expect(breakOf(testSid, end, chunk)).toBeUndefined();
          expect(Buffer.from(openChunk(chunk, testKey)).equals(Buffer.from(frames[i] ?? []))).toBe(true);
          end = after(chunk);
          rest = rest.subarray(chunk.bytes.length);
        }
        expect([rest.length, end.isOver]).toEqual([0, true]);
      }),
    );
  });

  it('with one bit changed anywhere do not open, or are none, or break the chain', () => {
    const [first, second] = chain([randomBytes(200), Buffer.from('later')]) as [Chunk, Chunk];
    for (let bit = 0; bit < first.bytes.length * 8; bit++) {
      const bytes = Buffer.from(first.bytes);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const read = readChunk(bytes);
      if (read.status !== 'chunk') continue;
      expect(() => openChunk(read.chunk, testKey)).toThrow(/does not open/);
      expect(breakOf(testSid, after(read.chunk), second)).toBeDefined();
    }
  });

  it('cut short say how much is needed', () => {
    const [{ bytes }] = chain([Buffer.from('abc')]) as [Chunk];
    for (let length = 0; length < bytes.length; length++)
      expect(readChunk(bytes.subarray(0, length))).toMatchObject({ status: 'cut short' });
    expect(readChunk(bytes.subarray(0, 95))).toEqual({ status: 'cut short', bytes: bytes.length });
  });

  it('are nothing else, whatever the bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (junk) => {
        const read = readChunk(Buffer.concat([Buffer.from('TRC1'), Buffer.from(junk)]));
        if (read.status === 'chunk') expect(() => openChunk(read.chunk, testKey)).toThrow(/does not open/);
      }),
      { numRuns: 1_000 },
    );
    expect(readChunk(Buffer.from('TRX1')).status).toBe('damaged');
  });

  it('that are too much when they are opened are refused', () => {
    const [bomb] = chain([Buffer.alloc(3_000_000)]) as [Chunk];
    expect(() => openChunk(bomb, testKey)).toThrow(/does not open/);
  });

  it('of another place in the chain, or of another one, do not continue it', () => {
    const [first, second, third] = chain(['1', '2', '3'].map((text) => Buffer.from(text)));
    if (!first || !second || !third) throw new Error('three');
    const other = sealChunk({ ...second.head, before: Buffer.alloc(32, 1) }, Buffer.from('2'), testKey);
    expect(breakOf(testSid, noChunks, second)).toMatch(/1 comes where 0 is due/);
    expect(breakOf(testSid, after(first), third)).toMatch(/2 comes where 1 is due/);
    expect(breakOf(testSid, after(first), other)).toMatch(/does not continue/);
    expect(breakOf(testSid, after(third), { ...second, head: { ...second.head, number: 3 } })).toMatch(
      /after the last/,
    );
    expect(breakOf('0b0a5b1e-3f2b-4c5d-8e9f-000000000002', noChunks, first)).toMatch(/another session/);
    expect(() => openChunk(first, new Uint8Array(32))).toThrow(/does not open/);
  });

  it('are of sessions whose id is a UUID in small letters', () => {
    expect([testSid, testSid.toUpperCase().replace('0', 'F'), '../x', ''].map(isSessionId)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});

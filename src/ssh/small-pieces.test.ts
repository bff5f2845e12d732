import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SmallPieces } from './small-pieces.ts';

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    process.nextTick(resolve);
  });

describe('small pieces', () => {
  it('that come in one turn are passed on as one, of their own memory', async () => {
    const passed: Buffer[] = [];
    const pieces = new SmallPieces((data) => passed.push(data));
    const packet = Buffer.alloc(64 * 1024, 'x');
    for (let n = 0; n < 1_000; n++) pieces.take(packet.subarray(n, n + 1));
    expect([passed.length, pieces.bytes]).toEqual([0, 1_000]);
    await turn();
    expect(passed.map(({ length }) => length)).toEqual([1_000]);
    expect(passed[0]?.buffer).not.toBe(packet.buffer);
    expect(pieces.bytes).toBe(0);
  });

  it('lose no byte and no order, however small and large are mixed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1_000, max: 1_100 })), {
          maxLength: 40,
        }),
        fc.nat(40),
        async (sizes, pauseAt) => {
          const passed: Buffer[] = [];
          const pieces = new SmallPieces((data) => passed.push(data));
          const all = Buffer.from(
            Uint8Array.from({ length: sizes.reduce((a, b) => a + b, 0) }, (_, n) => n % 251),
          );
          let at = 0;
          for (const [n, size] of sizes.entries()) {
            pieces.take(all.subarray(at, (at += size)));
            expect(passed.reduce((sum, { length }) => sum + length, pieces.bytes)).toBe(at);
            if (n === pauseAt) await turn();
          }
          pieces.flush();
          expect(Buffer.concat(passed).equals(all)).toBe(true);
        },
      ),
    );
  });
});

describe('a piece', () => {
  it('of a kibibyte is passed on at once, behind what waits; one byte less waits', async () => {
    const passed: number[] = [];
    const pieces = new SmallPieces(({ length }) => passed.push(length));
    pieces.take(Buffer.alloc(1_023));
    expect(passed).toEqual([]);
    pieces.take(Buffer.alloc(1_024));
    expect(passed).toEqual([1_023, 1_024]);
    await turn();
    // And nothing is passed on where nothing waits any more.
    expect(passed).toEqual([1_023, 1_024]);
  });
});

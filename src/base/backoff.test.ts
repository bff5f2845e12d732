import { describe, expect, it } from 'vitest';
import { backoffMs, randomFraction } from './backoff.ts';

const withByte = (byte: number) => ({ randomBytes: (n: number) => new Uint8Array(n).fill(byte) });

describe('jitter', () => {
  it('is spread over [0, 1), and never 1', () => {
    const all = Array.from({ length: 256 }, (_, byte) => randomFraction(withByte(byte)));
    expect(all[0]).toBe(0);
    expect(all[128]).toBe(0.5);
    expect(all.every((one, i) => one < 1 && (i === 0 || one > (all[i - 1] ?? 1)))).toBe(true);
  });

  it('is a share of a pause that doubles up to its end', () => {
    expect([1, 2, 3, 4, 1_000].map((n) => backoffMs(n, 100, 500, 0.5))).toEqual([50, 100, 200, 250, 250]);
  });
});

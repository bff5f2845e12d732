import { describe, expect, it } from 'vitest';
import { slotOf } from './hash-of.ts';
import { uuidOf } from './uuid-of.ts';

const hosts = Array.from({ length: 10_000 }, (_, n) => uuidOf(String(n)));

describe('the slots of many machines', () => {
  it('are the same each time, within the time, and as full as each other', () => {
    const filled = Array<number>(20).fill(0);
    for (const host of hosts) {
      const slot = slotOf(host);
      expect(slot).toBe(slotOf(host, 0));
      expect(slot).toBeGreaterThanOrEqual(0);
      filled[Math.floor(slot * 20)] = (filled[Math.floor(slot * 20)] ?? 0) + 1;
    }
    // 500 in each.
    expect(Math.min(...filled)).toBeGreaterThan(400);
    expect(Math.max(...filled)).toBeLessThan(600);
  });

  it('part those in the next round who met in one', () => {
    const together = hosts.filter((host) => Math.floor(slotOf(host, 1) * 20) === 7);
    const still = new Map<number, number>();
    for (const host of together) {
      const slot = Math.floor(slotOf(host, 2) * 20);
      still.set(slot, (still.get(slot) ?? 0) + 1);
    }
    expect(still.size).toBe(20);
    expect(Math.max(...still.values())).toBeLessThan(together.length / 8);
  });
});

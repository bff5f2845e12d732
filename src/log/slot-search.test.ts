import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import type { Batch } from './batch.ts';
import type { Recorded } from './event.ts';
import type { SlotBegin } from './partition-fold.ts';
import { slotBefore, slotBeforeMoment } from './slot-search.ts';

const start = '2026-01-01T00:00:00.000Z';
/** Slot n holds positions 2n - 1 and 2n; two slots have each second. */
const positionOf = (slot: number): number => 2 * slot - 1;
const momentOf = (slot: number): string => plusMs(start, Math.floor(slot / 2) * 1_000);
const batchOf = (slot: number): Batch => {
  const [firstPosition, at] = [positionOf(slot), momentOf(slot)];
  return { slot, firstPosition, events: [{ cause: { at } } as Recorded] } as unknown as Batch;
};

/** A log of so many slots, with signposts so far apart. `gone` cannot be read. */
function logOf(slots: number, apart: number, gone?: number) {
  const asked: number[] = [];
  const posts = Array.from({ length: Math.ceil(slots / apart) }, (_, i) => 1 + i * apart);
  return {
    asked,
    fold: {
      between: (holds: (begin: SlotBegin) => boolean) => {
        const firstAfter = posts.findIndex(
          (slot) => !holds({ firstPosition: positionOf(slot), firstAt: momentOf(slot) }),
        );
        const at = firstAfter === -1 ? posts.length : firstAfter;
        return { first: posts[at - 1] ?? 1, end: posts[at] ?? slots + 1 };
      },
    },
    batchAt: (slot: number) => {
      asked.push(slot);
      return Promise.resolve(slot === gone ? undefined : batchOf(slot));
    },
  };
}

describe('a slot in a long log', () => {
  const numbers = fc.integer({ min: 1, max: 300_000 });
  it('is found, or one shortly before it, by reading few others', async () => {
    await fc.assert(
      fc.asyncProperty(numbers, fc.integer({ min: 64, max: 100_000 }), numbers, async (slots, apart, n) => {
        const wanted = 1 + (n % slots);
        const log = logOf(slots, apart);
        const found = await slotBefore(log, positionOf(wanted) - 1);
        expect(found).toBeLessThanOrEqual(wanted);
        expect(wanted - found).toBeLessThanOrEqual(64);
        expect(log.asked.length).toBeLessThanOrEqual(Math.ceil(Math.log2(apart / 64)) + 1);
        const then = await slotBeforeMoment(log, momentOf(wanted));
        // The last one of an earlier moment is at most two slots before.
        expect(then).toBeLessThanOrEqual(Math.max(1, wanted - 1));
        expect(wanted - then).toBeLessThanOrEqual(66);
      }),
    );
  });

  it('is looked for from the signpost on where a slot on the way cannot be read', async () => {
    const log = logOf(10_000, 4_096, 2_049);
    expect(await slotBefore(log, positionOf(3_000))).toBe(1);
    expect(log.asked).toEqual([2_049]);
  });
});

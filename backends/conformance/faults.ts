import { Observable } from 'rxjs';
import { CodedError } from '../../src/base/errors.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';

/** The fate of the n-th commit (from 1). */
export type CommitFault =
  | 'none'
  | 'lost answer'
  | 'lost request'
  /** The driver tried twice by itself, and found its own batch. */
  | 'taken by itself'
  | 'unavailable'
  | 'no space'
  /** The store replies that it is full, although it has carried out the write. */
  | 'refused though done';

/** A driver whose appends fail according to `fault`. When a reply is lost the store has committed. */
export const withCommitFaults = (driver: SlotDriver, fault: (n: number) => CommitFault): SlotDriver => {
  let n = 0;
  return {
    ...driver,
    append: async (...args) => {
      const what = fault(++n);
      if (what === 'unavailable') throw new CodedError('unavailable', 'the store is away');
      if (what === 'no space') throw new CodedError('no_space', 'the disk is full');
      if (what === 'lost request')
        throw new CodedError('ambiguous', 'the connection broke before the request');
      const answer = await driver.append(...args);
      if (what === 'lost answer') throw new CodedError('ambiguous', 'the connection broke before the answer');
      // How a driver interprets that refusal: it cannot prove that nothing was written.
      if (what === 'refused though done') throw new CodedError('ambiguous', 'the store says that it is full');
      return what === 'taken by itself' ? { status: 'taken', head: args[1].slot + 1 } : answer;
    },
  };
};

/** A driver whose reads fail while `failing` returns true. */
export const withFailingReads = (driver: SlotDriver, failing: () => boolean): SlotDriver => ({
  ...driver,
  read: async function* (...args) {
    if (failing()) throw new CodedError('unavailable', 'the store is away');
    yield* driver.read(...args);
  },
});

/** Loses, repeats and delays hints at random. */
export const withWildHints = (driver: SlotDriver, random: () => number): SlotDriver => ({
  ...driver,
  hints: (partition) =>
    new Observable((subscriber) => {
      const late = new Set<NodeJS.Timeout>();
      const source = driver.hints(partition).subscribe(() => {
        for (let copies = Math.floor(random() * 3); copies > 0; copies--) {
          const timer = setTimeout(() => {
            late.delete(timer);
            subscriber.next();
          }, random() * 20);
          late.add(timer);
        }
      });
      return () => {
        source.unsubscribe();
        for (const timer of late) clearTimeout(timer);
      };
    }),
});

/** Counts the slots that were read and not yet taken by the reader. */
export const withReadCount = (driver: SlotDriver): SlotDriver & { slotsRead: number } => {
  const counting = {
    ...driver,
    slotsRead: 0,
    read: async function* (...args: Parameters<SlotDriver['read']>) {
      for await (const slot of driver.read(...args)) {
        counting.slotsRead++;
        yield slot;
      }
    },
  };
  return counting;
};

/**
 * A random source that repeats itself, so that a failure can be run again.
 * Source: mulberry32, public domain.
 */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

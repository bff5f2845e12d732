import { firstValueFrom, lastValueFrom, type Observable, take, takeWhile, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { EventLog } from '../../src/log/event-log.ts';
import type { Followed, Recorded } from '../../src/log/event.ts';
import { collect } from '../../src/log/testing.ts';
import { seeded, withReadCount, withWildHints } from './faults.ts';
import { add, cause, causeAt, happened, numberOf, type Trial } from './trial.ts';

const recorded = (one: Followed): Recorded => {
  if (!one.fact) throw new Error('a bare position mark from a whole log');
  return one;
};

/** The numbers of the next `count` events. */
const numbers = async (events: Observable<Followed>, count: number): Promise<number[]> =>
  (await firstValueFrom(events.pipe(take(count), toArray()))).map((one) => numberOf(recorded(one)));

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

async function fill(log: EventLog, from: number, to: number): Promise<void> {
  await Promise.all(
    range(from, to).map((n) => log.append([{ stream: `f-${n}`, expected: 0, facts: [happened(n)] }], cause)),
  );
}

export function describeFollowing(trial: () => Trial): void {
  describe('following', () => {
    it('delivers history, then what this and other handles append', async () => {
      const [one, other] = [await trial().log(), await trial().log({ pollMs: 20 })];
      for (const n of [1, 2]) await add(one.state, 'a-1', n);
      const seen = numbers(other.state.follow(0), 5);
      for (const n of [3, 4]) await add(one.state, 'a-1', n);
      await add(other.state, 'a-2', 5);
      expect(await seen).toEqual([1, 2, 3, 4, 5]);
    });

    it('begins after any position', async () => {
      const { state } = await trial().log();
      await fill(state, 1, 20);
      const all = (await collect(state.history(0))).map(numberOf);
      for (const after of [0, 1, 7, 19])
        expect(await numbers(state.follow(after), 20 - after)).toEqual(all.slice(after));
    });

    it('begins after a position that another handle wrote, and refuses one that nobody did', async () => {
      const [one, other] = [await trial().log(), await trial().log()];
      for (const n of [1, 2, 3]) await add(one.state, 'a-1', n);
      const seen = numbers(other.state.follow(3), 2);
      // It belongs to another history: the store was restored since.
      await expect(firstValueFrom(other.state.follow(5))).rejects.toMatchObject({ code: 'cursor_too_old' });
      for (const n of [4, 5]) await add(one.state, 'a-1', n);
      expect(await seen).toEqual([4, 5]);
    });

    it('keeps order without a gap while hints are lost, repeated and late', async () => {
      const total = 100 * trial().times(20);
      const random = seeded(3);
      const wild = await trial().log({ pollMs: 20, wrap: (d) => withWildHints(d, random) });
      const writers = [await trial().log(), wild];
      const seen: Recorded[] = [];
      const done = lastValueFrom(wild.state.follow(0).pipe(takeWhile((one) => one.position < total)), {
        defaultValue: undefined,
      });
      wild.state.follow(0).subscribe((one) => seen.push(recorded(one)));
      await Promise.all(
        writers.map(async ({ state }, who) => {
          for (let n = 0; n < total / 2; n += 50)
            await Promise.all(
              range(n, Math.min(n + 49, total / 2 - 1)).map((i) =>
                state.append([{ stream: `w-${who}x${i}`, expected: 0, facts: [happened(i)] }], cause),
              ),
            );
        }),
      );
      await done;
      expect(seen.map((e) => e.position)).toEqual(range(1, total));
      expect(new Set(seen.map((e) => e.id)).size).toBe(total);
      const stored = await collect((await trial().log()).state.history(0));
      expect(seen).toEqual(stored);
    });

    it('reads from the store no further ahead than its reader takes', async () => {
      const writer = await trial().log();
      for (let n = 0; n < 40; n++) await add(writer.state, 'a-1', n, 'x'.repeat(20_000));
      const counting = { current: withReadCount(await trial().driver()) };
      const reader = await trial().log({
        recentBytes: 1,
        wrap: (d) => (counting.current = withReadCount(d)),
      });
      const before = counting.current.slotsRead;
      let taken = 0;
      for await (const event of reader.state.history(0)) {
        taken++;
        expect(event.position).toBe(taken);
        expect(counting.current.slotsRead - before).toBeLessThanOrEqual(taken + 1);
      }
      expect(taken).toBe(40);
    });

    it('completes when the log is closed', async () => {
      const log = await trial().log();
      await add(log.state, 'a-1', 1);
      const all = firstValueFrom(log.state.follow(0).pipe(toArray()));
      await firstValueFrom(log.state.follow(0));
      await log.close();
      expect(await all).toHaveLength(1);
    });
  });

  describe('reading', () => {
    it('gives one stream after a revision, however it is spread', async () => {
      const log = await trial().log({ recentBytes: 1 });
      for (let n = 1; n <= 30; n++) {
        await add(log.state, 'a-1', n);
        if (n % 10 === 0) for (let k = 0; k < 20; k++) await add(log.state, 'b-1', k);
      }
      expect((await collect(log.state.read('a-1'))).map(numberOf)).toEqual(range(1, 30));
      expect((await collect(log.state.read('a-1', 17))).map(numberOf)).toEqual(range(18, 30));
      expect(await collect(log.state.read('a-1', 30))).toEqual([]);
      expect(await collect(log.state.read('a-2'))).toEqual([]);
    });

    it('sees at once what another handle appended', async () => {
      const [one, other] = [await trial().log(), await trial().log()];
      const position = await add(one.audit, 'a-1', 1);
      expect(await other.audit.head()).toBe(position);
      expect(await other.audit.revision('a-1')).toBe(1);
      expect(await collect(other.audit.read('a-1'))).toHaveLength(1);
      expect(await other.state.head()).toBe(0);
    });

    it('finds the position before a moment', async () => {
      const log = await trial().log({ recentBytes: 1 });
      const at = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString();
      for (let n = 1; n <= 150; n++)
        await log.audit.append([{ stream: `a-${n}`, expected: 0, facts: [happened(n)] }], causeAt(at(n)));
      for (const n of [1, 2, 63, 64, 65, 66, 128, 150]) {
        expect(await log.audit.positionBefore(at(n))).toBe(n - 1);
      }
      expect(await log.audit.positionBefore(at(0))).toBe(0);
      expect(await log.audit.positionBefore(at(1000))).toBe(150);
      expect(await log.presence.positionBefore(at(1))).toBe(0);
    });
  });
}

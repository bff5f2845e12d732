import { describe, expect, it } from 'vitest';
import { isCoded } from '../../src/base/errors.ts';
import { collect } from '../../src/log/testing.ts';
import { add, cause, happened, numberOf, type Trial } from './trial.ts';

export function describeGuarding(trial: () => Trial): void {
  describe('a write without facts', () => {
    it('guards its stream for many appends at once, which take nothing from each other', async () => {
      const logs = [await trial().log(), await trial().log()] as const;
      await add(logs[0].state, 'g-1', 1);
      const guarded = (n: number): Promise<number> =>
        logs[n % 2 === 0 ? 0 : 1].state.append(
          [
            { stream: 'g-1', expected: 1, facts: [] },
            { stream: `a-${n}`, expected: 0, facts: [happened(n)] },
          ],
          cause,
        );
      await Promise.all(Array.from({ length: 40 }, (_, n) => guarded(n)));
      expect(await logs[0].state.head()).toBe(41);
      expect(await logs[0].state.revision('g-1')).toBe(1);
      expect(logs.map((log) => log.stats().state.conflicts)).toEqual([0, 0]);
    });

    it('holds while its stream is as expected, also beside a writer elsewhere', async () => {
      const rounds = trial().times(10);
      const [one, other] = [await trial().log(), await trial().log()];
      // Each guarded fact names the revision that it was decided by.
      const guarded = async (n: number): Promise<'taken' | 'conflict'> => {
        const seen = await one.state.revision('g-1');
        const writes = [
          { stream: 'g-1', expected: seen, facts: [] },
          { stream: `a-${n}`, expected: 0, facts: [happened(seen)] },
        ] as const;
        return one.state.append(writes, cause).then(
          () => 'taken',
          (e: unknown) => {
            if (!isCoded(e, 'conflict')) throw e;
            return 'conflict';
          },
        );
      };
      const outcomes: string[] = [];
      for (let n = 0; n < rounds; n++) {
        const write = other.state.append([{ stream: 'g-1', expected: n, facts: [happened(n + 1)] }], cause);
        const beside = Array.from({ length: 4 }, (_, i) => guarded(4 * n + i));
        outcomes.push(...(await Promise.all(beside)));
        await write;
      }
      let revision = 0;
      let taken = 0;
      for (const event of await collect(one.state.history(0)))
        if (event.stream === 'g-1') revision = event.revision;
        else {
          expect(numberOf(event)).toBe(revision);
          taken++;
        }
      expect(revision).toBe(rounds);
      expect(taken).toBe(outcomes.filter((outcome) => outcome === 'taken').length);
    });
  });
}

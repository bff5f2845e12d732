import { describe, expect, it } from 'vitest';
import { takingTurns } from './turns.ts';

/** Work that ends when told to, and what was begun in which order. */
function bench(limits: { concurrent: number; waiting: number }) {
  const turn = takingTurns({ ...limits, what: 'pieces of work' });
  const begun: number[] = [];
  const ends = new Map<number, () => void>();
  const start = (n: number): Promise<number> =>
    turn(async () => {
      begun.push(n);
      await new Promise<void>((end) => ends.set(n, end));
      return n;
    });
  return { start, begun, end: (n: number) => ends.get(n)?.() };
}

describe('taking turns', () => {
  it('begins no more than may run at once, the rest in the order they came', async () => {
    const { start, begun, end } = bench({ concurrent: 2, waiting: 10 });
    const all = [1, 2, 3, 4, 5].map(start);
    expect(begun).toEqual([1, 2]);
    end(2);
    await all[1];
    await Promise.resolve();
    expect(begun).toEqual([1, 2, 3]);
    all.push(start(6)); // a place was handed on, none has become free
    expect(begun).toEqual([1, 2, 3]);
    for (const n of [1, 3, 4, 5, 6]) {
      end(n);
      await all[n - 1];
      await Promise.resolve();
    }
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(begun).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('refuses who finds the queue full, and goes on', async () => {
    const { start, begun, end } = bench({ concurrent: 1, waiting: 1 });
    const [first, second] = [start(1), start(2)];
    await expect(start(3)).rejects.toMatchObject({ code: 'unavailable' });
    end(1);
    await first;
    await Promise.resolve();
    end(2);
    await second;
    expect(begun).toEqual([1, 2]);
    const fourth = start(4);
    end(4);
    await fourth;
  });

  it('gives the place on after a failure', async () => {
    const turn = takingTurns({ concurrent: 1, waiting: 1, what: 'pieces of work' });
    const failed = turn(() => Promise.reject(new Error('broken')));
    const next = turn(() => Promise.resolve('done'));
    await expect(failed).rejects.toThrow('broken');
    expect(await next).toBe('done');
  });
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Waiters } from './waiters.ts';

it('resolves whoever waits for a position that was reached, and nobody else', async () => {
  const step = fc.record({ waitsFor: fc.array(fc.nat(30), { maxLength: 3 }), moves: fc.nat(4) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const waiters = new Waiters();
      const waiting = new Set<number>();
      let [at, called] = [0, 0];
      for (const { waitsFor, moves } of steps) {
        for (const ahead of waitsFor) {
          const position = at + 1 + ahead;
          const id = called++ * 1_000 + position;
          waiting.add(id);
          void waiters.until(position).then(() => waiting.delete(id));
        }
        at += moves;
        waiters.reached(at);
        await Promise.resolve();
        await Promise.resolve();
        for (const id of waiting) expect(id % 1_000).toBeGreaterThan(at);
      }
      waiters.reached(1_000);
      await Promise.resolve();
      await Promise.resolve();
      expect(waiting.size).toBe(0);
    }),
  );
});

it('refuses all of them, and takes others afterwards', async () => {
  const waiters = new Waiters();
  const refused = waiters.until(5);
  waiters.refuse(new Error('over'));
  await expect(refused).rejects.toThrow('over');
  const next = waiters.until(7);
  waiters.reached(7);
  await expect(next).resolves.toBeUndefined();
});

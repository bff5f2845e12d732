import { expect, it } from 'vitest';
import { allSettled } from './settled.ts';

it('answers in order, and fails only when nothing is under way any more', async () => {
  expect(await allSettled([Promise.resolve(1), Promise.resolve(2)])).toEqual([1, 2]);
  const { promise, resolve } = Promise.withResolvers<number>();
  let failed = false;
  const all = allSettled([Promise.reject(new Error('the first')), promise]).catch((e: unknown) => {
    failed = true;
    return e;
  });
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  expect(failed).toBe(false);
  resolve(2);
  expect(await all).toMatchObject({ message: 'the first' });
});

import { describe, expect, it } from 'vitest';
import { FoldCache } from './fold-cache.ts';
import { KeyedLock } from './keyed-lock.ts';

describe('the cache of folded streams', () => {
  it('keeps deciders apart, and drops what was not used for longest', () => {
    const cache = new FoldCache(2);
    const [one, other] = [{ initial: 0 }, { initial: 0 }];
    cache.set(one, 'a-1', { state: 1, revision: 1 });
    cache.set(other, 'a-1', { state: 2, revision: 1 });
    expect(cache.get(one, 'a-1')?.state).toBe(1);
    cache.set(one, 'a-2', { state: 3, revision: 1 });
    expect(cache.get(other, 'a-1')).toBeUndefined();
    expect([cache.get(one, 'a-1')?.state, cache.get(one, 'a-2')?.state]).toEqual([1, 3]);
  });
});

describe('the lock by key', () => {
  it('lets one at a time through per key, in order, and others beside', async () => {
    const lock = new KeyedLock();
    const steps: string[] = [];
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const first = lock.hold(['b', 'a'], async () => {
      steps.push('first in');
      await gate;
      steps.push('first out');
    });
    const second = lock.hold(['a', 'c'], () => Promise.resolve(steps.push('second')));
    await lock.hold(['d'], () => Promise.resolve(steps.push('beside')));
    open();
    await Promise.all([first, second]);
    expect(steps.filter((one) => one !== 'beside')).toEqual(['first in', 'first out', 'second']);
    expect(steps.indexOf('beside')).toBeLessThan(steps.indexOf('first out'));
  });

  it('goes on after a failure', async () => {
    const lock = new KeyedLock();
    await expect(lock.hold(['a'], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await lock.hold(['a'], () => Promise.resolve(1))).toBe(1);
  });
});

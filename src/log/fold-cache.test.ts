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

  it('is held together by those who share a key, but neither with nor past one who wants it alone', async () => {
    const lock = new KeyedLock();
    const steps: string[] = [];
    const gates = new Map<string, PromiseWithResolvers<undefined>>();
    const hold = (name: string, shared: boolean): Promise<void> => {
      const gate = Promise.withResolvers<undefined>();
      gates.set(name, gate);
      const act = async (): Promise<void> => {
        steps.push(`${name} in`);
        await gate.promise;
        steps.push(`${name} out`);
      };
      return lock.hold(shared ? [] : ['a'], act, ['a']);
    };
    const until = async (...wanted: string[]): Promise<void> => {
      await expect.poll(() => steps).toEqual(wanted);
      steps.length = 0;
    };
    const first = [hold('1', true), hold('2', true)];
    await until('1 in', '2 in');
    gates.get('2')?.resolve(undefined);
    await first[1];
    await until('2 out');
    // The first still has it.
    const all = [...first, hold('alone', false), hold('3', true), hold('4', true)];
    await new Promise(setImmediate);
    gates.get('1')?.resolve(undefined);
    await until('1 out', 'alone in');
    gates.get('alone')?.resolve(undefined);
    await until('alone out', '3 in', '4 in');
    gates.get('3')?.resolve(undefined);
    gates.get('4')?.resolve(undefined);
    await Promise.all(all);
  });

  it('goes on after a failure', async () => {
    const lock = new KeyedLock();
    await expect(lock.hold(['a'], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await lock.hold(['a'], () => Promise.resolve(1))).toBe(1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crowd } from './crowd.ts';

describe('a crowd of those whom nobody knows yet', () => {
  it('lets a newcomer in and the oldest of the largest group go', () => {
    const crowd = new Crowd<string>(3);
    expect(crowd.enter('a1', 'a')).toBeUndefined();
    expect(crowd.enter('b1', 'b')).toBeUndefined();
    expect(crowd.enter('b2', 'b')).toBeUndefined();
    expect(crowd.enter('c1', 'c')).toMatchObject({ gone: 'b1', group: 'b' });
    // Now each has one: the oldest of all.
    expect(crowd.enter('d1', 'd')).toMatchObject({ gone: 'a1', group: 'a' });
  });

  it('has who opens thousands push out his own, and nobody else', () => {
    const crowd = new Crowd<number | string>(100);
    crowd.enter('somebody', 'elsewhere');
    for (let n = 0; n < 5_000; n++) crowd.enter(n, 'attacker');
    expect(crowd.has('somebody')).toBe(true);
    expect(crowd.sizeOf('attacker')).toBe(99);
    expect(crowd.has(4_999)).toBe(true);
  });

  it('counts who is known no more, and who moved with those that he is of', () => {
    const crowd = new Crowd<string>(2);
    crowd.enter('x', 'proxy');
    crowd.enter('y', 'proxy');
    crowd.move('y', 'client');
    expect([crowd.sizeOf('proxy'), crowd.sizeOf('client')]).toEqual([1, 1]);
    crowd.leave('x');
    expect(crowd.enter('z', 'proxy')).toBeUndefined();
    crowd.move('nobody', 'client');
    crowd.leave('nobody');
    expect(crowd.size).toBe(2);
  });

  it('never holds more than it may, never refuses a newcomer, and takes from the largest group only', () => {
    const step = fc.record({
      act: fc.constantFrom('enter', 'enter', 'enter', 'leave', 'move'),
      one: fc.nat(60),
      group: fc.constantFrom('a', 'b', 'c', 'd'),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 200 }), (max, steps) => {
        const crowd = new Crowd<number>(max);
        const groups = new Map<number, string>(); // in the order of entering
        for (const { act, one, group } of steps) {
          if (act === 'leave') {
            crowd.leave(one);
            groups.delete(one);
          } else if (act === 'move') {
            crowd.move(one, group);
            if (groups.has(one)) groups.set(one, group);
          } else {
            const out = crowd.enter(one, group);
            if (!groups.has(one)) groups.set(one, group);
            const sizeOf = (g: string): number => [...groups.values()].filter((other) => other === g).length;
            if (out !== undefined) {
              expect(groups.size).toBe(max + 1);
              expect(sizeOf(out.group)).toBe(Math.max(...['a', 'b', 'c', 'd'].map(sizeOf)));
              expect(groups.get(out.gone)).toBe(out.group);
              if (max > 1) expect(out.gone === one && sizeOf(out.group) > 1).toBe(false);
              groups.delete(out.gone);
            }
          }
          expect(crowd.size).toBe(groups.size);
          expect(crowd.size).toBeLessThanOrEqual(max);
          for (const g of ['a', 'b', 'c', 'd'])
            expect(crowd.sizeOf(g)).toBe([...groups.values()].filter((other) => other === g).length);
        }
      }),
    );
  });
});

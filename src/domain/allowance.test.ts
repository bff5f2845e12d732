import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute, second } from '../base/time.ts';
import { type Allowance, type Balance, balanceAt, giveBack, takeAll } from './allowance.ts';

const allowance: Allowance = { atOnce: 10, perHour: 60 };
const take = (before: Balance | undefined, amount: number, nowMs: number) =>
  takeAll([{ allowance, before, amount }], nowMs);

describe('an allowance', () => {
  it('grants so much at once, then says when the next is due, and grants it then', () => {
    let balance: Balance | undefined;
    for (let n = 0; n < 10; n++) {
      const taking = take(balance, 1, 0);
      if (taking.status !== 'taken') throw new Error(`refused the ${n}th`);
      balance = taking.balances[0];
    }
    expect(take(balance, 1, 0)).toEqual({ status: 'refused', waitMs: minute, lacking: 0 });
    expect(take(balance, 1, minute - 1).status).toBe('refused');
    expect(take(balance, 1, minute).status).toBe('taken');
  });

  it('grants what is larger than it ever holds once it is full, and is in debt after that', () => {
    const taking = take(undefined, 25, 0);
    if (taking.status !== 'taken') throw new Error('refused');
    expect(taking.balances).toEqual([{ left: -15, atMs: 0 }]);
    expect(take(taking.balances[0], 25, second)).toMatchObject({
      status: 'refused',
      waitMs: 25 * minute - second,
    });
  });

  it('takes of none when one of several lacks, and says which', () => {
    const bytes: Allowance = { atOnce: 100, perHour: 100 };
    const wishes = [
      { allowance, before: undefined, amount: 1 },
      { allowance: bytes, before: { left: 0, atMs: 0 }, amount: 50 },
    ];
    expect(takeAll(wishes, 0)).toEqual({ status: 'refused', waitMs: hour / 2, lacking: 1 });
  });

  it('gets back what was not used, and never holds more than at first', () => {
    expect(giveBack(allowance, { left: 3, atMs: 5 }, 4)).toEqual({ left: 7, atMs: 5 });
    expect(giveBack(allowance, { left: 9, atMs: 5 }, 4)).toEqual({ left: 10, atMs: 5 });
  });

  const anyAllowance = fc.record({
    atOnce: fc.integer({ min: 1, max: 100_000 }),
    perHour: fc.integer({ min: 1, max: 1_000_000 }),
  });
  const steps = fc.array(
    fc.record({
      amount: fc.integer({ min: 0, max: 200_000 }),
      passedMs: fc.integer({ min: -second, max: hour }),
    }),
    { maxLength: 50 },
  );

  it('never grants more in a time than what is at hand, what comes in, and one wish that was too large', () => {
    fc.assert(
      fc.property(anyAllowance, steps, (any, wishes) => {
        let [balance, now, newest, granted, largest] = [undefined as Balance | undefined, 0, 0, 0, 0];
        for (const { amount, passedMs } of wishes) {
          now += passedMs;
          newest = Math.max(newest, now);
          const taking = takeAll([{ allowance: any, before: balance, amount }], now);
          if (taking.status === 'refused') continue;
          balance = taking.balances[0];
          granted += amount;
          largest = Math.max(largest, amount);
        }
        // A clock that goes back and forth gives at most what passed forward.
        const passed = wishes.reduce((sum, { passedMs }) => sum + Math.max(0, passedMs), 0);
        expect(granted).toBeLessThanOrEqual(any.atOnce + (passed / hour) * any.perHour + largest + 1);
      }),
    );
  });

  it('grants after the wait that it named what it refused before', () => {
    fc.assert(
      fc.property(anyAllowance, steps, (any, wishes) => {
        let [balance, now] = [undefined as Balance | undefined, 0];
        for (const { amount, passedMs } of wishes) {
          now += Math.max(0, passedMs);
          let taking = takeAll([{ allowance: any, before: balance, amount }], now);
          if (taking.status === 'refused') {
            now += taking.waitMs;
            taking = takeAll([{ allowance: any, before: balance, amount }], now);
          }
          if (taking.status !== 'taken') throw new Error('refused again');
          balance = taking.balances[0];
          expect(balanceAt(any, balance, now).left).toBeLessThanOrEqual(any.atOnce);
        }
      }),
    );
  });
});

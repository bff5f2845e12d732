import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, minute, second } from '../base/time.ts';
import { type ClockVote, judgeClock } from './clock-votes.ts';

const votes = (...ahead: number[]): ClockVote[] => ahead.map((aheadMs, i) => ({ who: `m${i}`, aheadMs }));
const judge = (authServers: number[], hosts: number[] = []): ReturnType<typeof judgeClock> =>
  judgeClock({ authServers: votes(...authServers), hosts: votes(...hosts) });

describe('whose clock is wrong', () => {
  it('is nobody, while all are within a minute of ours', () => {
    expect(judge([])).toEqual({ status: 'agreed' });
    expect(judge([minute, -minute], [3 * second])).toEqual({ status: 'agreed' });
  });
  it('is ours, when two others agree with each other', () => {
    expect(judge([-5 * hour, -5 * hour + second])).toEqual({
      status: 'own_wrong',
      aheadMs: 5 * hour - second,
      agreeing: 2,
      heard: 2,
    });
    expect(judge([hour, hour, 0])).toMatchObject({ status: 'undecided' });
    expect(judge([hour, hour, hour, 0])).toMatchObject({ status: 'own_wrong', aheadMs: -hour });
  });
  it('is that of the one from whom most differ', () => {
    const differing = [{ who: 'm1', aheadMs: 5 * hour }];
    expect(judge([0, 5 * hour])).toEqual({ status: 'others_wrong', differing });
  });
  it('cannot be told by two servers', () => {
    expect(judge([5 * hour])).toMatchObject({ status: 'undecided', differing: [{ aheadMs: 5 * hour }] });
    expect(judge([5 * hour, -5 * hour])).toMatchObject({ status: 'undecided' });
    expect(judge([], [5 * hour])).toMatchObject({ status: 'undecided' });
  });
  it('is told by the hosts where the auth servers cannot', () => {
    expect(judge([5 * hour], [0])).toMatchObject({ status: 'others_wrong' });
    expect(judge([5 * hour], [5 * hour])).toMatchObject({ status: 'own_wrong' });
    expect(judge([], [5 * hour, 5 * hour])).toMatchObject({ status: 'own_wrong' });
  });
  it('is not told by hosts against three auth servers', () => {
    const many = Array.from({ length: 50 }, () => 5 * hour);
    expect(judge([0, 1], many)).toMatchObject({ status: 'others_wrong' });
    expect(judge([0], many)).toMatchObject({ status: 'own_wrong' });
  });

  const clock = fc.oneof(fc.integer({ min: -20 * second, max: 20 * second }), fc.integer());
  const heard = fc.record({
    authServers: fc.array(clock, { maxLength: 5 }),
    hosts: fc.array(clock, { maxLength: 8 }),
  });
  it('is never ours while more than half agree with it', () => {
    fc.assert(
      fc.property(heard, ({ authServers, hosts }) => {
        for (const some of [authServers, [...authServers, ...hosts]]) {
          const near = some.filter((one) => Math.abs(one) <= minute / 2).length;
          if ((near + 1) * 2 > some.length + 1) expect(judge(some).status).not.toBe('own_wrong');
        }
      }),
    );
  });
  it('is that of at most a minority: never do so many stop that nobody is left to decide', () => {
    fc.assert(
      fc.property(fc.array(clock, { minLength: 2, maxLength: 7 }), (clocks) => {
        const stopped = clocks.filter(
          (own, i) => judge(clocks.toSpliced(i, 1).map((one) => one - own)).status === 'own_wrong',
        );
        expect(stopped.length * 2).toBeLessThan(clocks.length);
      }),
    );
  });
});

import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { isTurnedAway, NoAnswerInTime, redialMs, TurnedAway } from './no-answer.ts';
import { fromWire } from './wire-errors.ts';

describe('dialling auth servers again', () => {
  const refusal = new CodedError('unavailable', 'connect ECONNREFUSED');
  const tried = new CodedError('unavailable', 'no auth server answers', { cause: new NoAnswerInTime() });

  it('is soon after a refusal, and seldom after silence: they may have too much to do', () => {
    const pauses = (e: unknown): number[] => [1, 2, 3, 20].map((n) => redialMs(n, e, 1));
    expect(pauses(refusal)).toEqual([200, 400, 800, 5_000]);
    expect(pauses(fromWire('unavailable', 'cannot serve'))).toEqual([200, 400, 800, 30_000]);
    expect(pauses(tried)).toEqual([1_000, 2_000, 4_000, 30_000]);
    expect(pauses(new NoAnswerInTime())).toEqual(pauses(tried));
    expect(pauses(new Error('lost', { cause: tried }))).toEqual(pauses(tried));
  });

  it('is at any moment in between, so that many do not return at once', () => {
    expect(redialMs(3, refusal, 0.25)).toBe(200);
    expect(redialMs(3, tried, 0)).toBe(0);
  });

  const away = new CodedError('unavailable', 'no auth server answers', { cause: new TurnedAway() });

  it('is within some seconds for who was turned away, and is not known to be one of many', () => {
    expect(isTurnedAway(away)).toBe(true);
    expect([isTurnedAway(tried), isTurnedAway(refusal)]).toEqual([false, false]);
    expect([1, 2, 20].map((n) => redialMs(n, away, 1))).toEqual([1_000, 2_000, 8_000]);
  });

  it('is in the slot of the machine, once it is known that all have lost their server', () => {
    // Ten thousand hosts are told 20 s.
    const pauses = (failures: number, failure: unknown): number[] =>
      Array.from({ length: 1_000 }, (_, n) =>
        redialMs(failures, failure, 0, { hostId: `host-${n}`, spreadMs: 20_000 }),
      );
    const within = (all: number[], from: number, to: number): number =>
      all.filter((ms) => ms >= from && ms < to).length;
    for (const spread of [pauses(1, away), pauses(2, refusal)]) {
      expect(within(spread, 0, 50_000)).toBe(1_000);
      for (const from of [0, 10_000, 20_000, 30_000, 40_000])
        expect(within(spread, from, from + 10_000)).toBeGreaterThan(150);
    }
    expect(pauses(2, refusal)).toEqual(pauses(2, refusal));
    // Its own connection broke, and nobody else's perhaps.
    expect(pauses(1, refusal)).toEqual(pauses(1, refusal).map(() => 0));
  });

  it('is as it always was where hosts are few', () => {
    const few = { hostId: 'one', spreadMs: 0 };
    for (const failures of [1, 2, 9])
      expect(redialMs(failures, refusal, 0.5, few)).toBe(redialMs(failures, refusal, 0.5));
  });
});

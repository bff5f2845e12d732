import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { NoAnswerInTime, redialMs } from './no-answer.ts';
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
});

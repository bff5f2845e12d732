import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { longestRetryMs, renewalPlan } from './certificate-renewal.ts';

const startedAt = '2026-01-01T00:00:00.000Z';
const life = { madeAt: '2026-01-01T00:00:00.000Z', until: '2026-04-01T00:00:00.000Z' }; // 90 days

describe('when certificates are renewed', () => {
  it('is when two thirds of their life are over, on average', () => {
    expect(renewalPlan(life, { random: 0.5, startedAt })).toEqual({
      at: '2026-03-02T00:00:00.000Z',
      overdueAt: '2026-03-09T12:00:00.000Z',
    });
  });

  it('is earlier for one and later for another, and always before operators are warned', () => {
    expect(renewalPlan(life, { random: 0, startedAt }).at).toBe('2026-02-25T12:00:00.000Z');
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (random) => {
        const { at, overdueAt } = renewalPlan(life, { random, startedAt });
        expect(at >= '2026-02-25T12:00:00.000Z' && at < '2026-03-06T12:00:01.000Z').toBe(true);
        expect(overdueAt !== undefined && at < overdueAt && overdueAt < life.until).toBe(true);
      }),
    );
  });

  it('is soon after the start for those that never end, which are never overdue', () => {
    const forever = { ...life, until: undefined };
    expect(renewalPlan(forever, { random: 0.5, startedAt: '2027-01-01T00:00:00.000Z' })).toEqual({
      at: '2027-01-01T00:05:00.000Z',
      overdueAt: undefined,
    });
  });

  it('is tried again every hour at least, and oftener in a short life', () => {
    expect(longestRetryMs(life)).toBe(3_600_000);
    expect(longestRetryMs({ ...life, until: '2026-01-01T00:10:00.000Z' })).toBe(15_000);
    expect(longestRetryMs({ ...life, until: '2026-01-01T00:00:10.000Z' })).toBe(1_000);
  });
});

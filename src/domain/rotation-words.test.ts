import { describe, expect, it } from 'vitest';
import { rotationSchedule, rotationWords, shortMoment } from './rotation-words.ts';

const underWay = {
  mode: 'manual',
  startedAt: '2026-11-22T19:49:26.000Z',
  gracePeriodMs: 30 * 3600 * 1000,
  phaseSince: '2026-11-22T20:00:00.000Z',
  endsAt: '2026-11-24T01:49:26.000Z',
} as const;

describe('where a rotation stands, in words', () => {
  it('is as 4.4 words it, in every phase', () => {
    const times = '(mode: manual, started: Nov 22 19:49:26 UTC, ending: Nov 24 01:49:26 UTC)';
    expect(rotationWords({ phase: 'standby' })).toBe('never updated');
    expect(rotationWords({ phase: 'standby', lastRotatedAt: null })).toBe('never updated');
    expect(rotationWords({ phase: 'standby', lastRotatedAt: '2026-11-22T19:50:54.123Z' })).toBe(
      'rotated Nov 22 19:50:54 UTC',
    );
    expect(rotationWords({ phase: 'init', underWay })).toBe(`initialized ${times}`);
    expect(rotationWords({ phase: 'update_clients', underWay })).toBe(`rotating clients ${times}`);
    expect(rotationWords({ phase: 'update_servers', underWay })).toBe(`rotating servers ${times}`);
    expect(rotationWords({ phase: 'rollback', underWay })).toBe(`rolling back ${times}`);
  });

  it('pads a day of one digit', () => {
    expect(shortMoment('2026-01-02T03:04:05.000Z')).toBe('Jan  2 03:04:05 UTC');
  });
});

describe('the schedule of a rotation', () => {
  it('has a third of the grace period for each phase that is left, from when this one began', () => {
    const auto = { ...underWay, mode: 'auto' } as const;
    expect(rotationSchedule({ phase: 'init', underWay: auto })).toEqual([
      { phase: 'update_clients', at: '2026-11-23T06:00:00.000Z' },
      { phase: 'update_servers', at: '2026-11-23T16:00:00.000Z' },
      { phase: 'standby', at: '2026-11-24T02:00:00.000Z' },
    ]);
    expect(rotationSchedule({ phase: 'update_servers', underWay: auto })).toEqual([
      { phase: 'standby', at: '2026-11-23T06:00:00.000Z' },
    ]);
  });

  it('is empty for one that is taken by hand, and when none is under way', () => {
    expect(rotationSchedule({ phase: 'init', underWay })).toEqual([]);
    expect(rotationSchedule({ phase: 'standby' })).toEqual([]);
  });
});

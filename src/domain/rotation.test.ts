import { describe, expect, it } from 'vitest';
import { expectedEnd, keyUseOf, misorder, nextStep, type Rotation, type UnderWay } from './rotation.ts';

const [startedAt, phaseSince] = ['2026-01-01T00:00:00.000Z', '2026-01-01T01:00:00.000Z'];
const rotation = (wish: Partial<UnderWay> = {}): UnderWay => ({
  ...{ phase: 'init', rotationId: 'r1', mode: 'auto', startedAt, gracePeriodMs: 9_000, phaseSince },
  ...{ phaseBy: 'admin', oldKeyId: 'old', newKeyId: 'new', lastRotatedAt: null },
  ...wish,
});
const standby: Rotation = { phase: 'standby', lastRotatedAt: null, lastRotationId: null };

describe('a rotation that goes on by itself', () => {
  it.each([
    ['init', 'update_clients'],
    ['update_clients', 'update_servers'],
    ['update_servers', 'standby'],
    ['rollback', 'standby'],
  ] as const)(
    'goes from %s to %s after a third of its grace period, counted from the phase',
    (phase, next) => {
      const at = '2026-01-01T01:00:03.000Z';
      expect(nextStep(rotation({ phase }))).toEqual({ phase: next, at });
      expect(nextStep(rotation({ phase, mode: 'manual' }))).toEqual({ phase: next, at: undefined });
    },
  );

  it('never goes on before its third is over, also where it does not divide', () => {
    expect(nextStep(rotation({ gracePeriodMs: 100 })).at).toBe('2026-01-01T01:00:00.034Z');
    expect(expectedEnd(rotation({ gracePeriodMs: 100, phase: 'update_clients' }))).toBe(
      '2026-01-01T01:00:00.067Z',
    );
  });

  it.each([
    ['init', 'auto', '2026-01-01T01:00:09.000Z'],
    ['update_clients', 'auto', '2026-01-01T01:00:06.000Z'],
    ['update_servers', 'auto', '2026-01-01T01:00:03.000Z'],
    // Nothing says when somebody ends it: by the grace period that was asked for.
    ['rollback', 'auto', '2026-01-01T00:00:09.000Z'],
    ['update_servers', 'manual', '2026-01-01T00:00:09.000Z'],
  ] as const)('in %s, %s, is expected to end at %s', (phase, mode, end) => {
    expect(expectedEnd(rotation({ phase, mode }))).toBe(end);
  });
});

describe('the keys of a rotation', () => {
  it.each([
    ['init', 'old', 'old', 'old'],
    ['update_clients', 'new', 'new', 'old'],
    ['update_servers', 'new', 'new', 'new'],
    ['rollback', 'old', 'old', 'old'],
  ] as const)('in %s: %s signs, clients show %s, servers %s', (phase, signs, clients, servers) => {
    expect(keyUseOf(rotation({ phase }))).toEqual({ signs, clients, servers });
  });
});

describe('a step that does not follow', () => {
  it('is refused with the phases that it follows and the one that is current, since when and by whom', () => {
    expect(misorder('standby', rotation())).toBe(
      'can only switch to phase standby from update_servers or rollback, current phase is init, ' +
        'since 2026-01-01T01:00:00.000Z by admin',
    );
    expect(misorder('rollback', standby)).toBe(
      'can only switch to phase rollback from init or update_clients or update_servers, current phase is standby',
    );
    expect(misorder('init', rotation({ phase: 'rollback' }))).toBe(
      'can not initiate rotation while another is in progress, current phase is rollback, ' +
        'since 2026-01-01T01:00:00.000Z by admin',
    );
    expect(misorder('init', standby)).toBeUndefined();
  });
});

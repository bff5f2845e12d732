import { describe, expect, it } from 'vitest';
import type { AuthorityState, CreatedAuthority } from './authority-state.ts';
import {
  adoptedField,
  outstanding,
  phaseOfMark,
  rotationMark,
  sameAdopted,
  sentAdopted,
} from './rotation-mark.ts';
import { type Rotation, rotationPhases } from './rotation.ts';

const at = '2026-01-01T00:00:00.000Z';
const rotationId = '12345678-0000-4000-8000-000000000000';
const authorityIn = (rotation: Rotation): CreatedAuthority => ({
  ...{ status: 'created', type: 'host', clusterName: 'c', keys: [], retired: [] },
  ...{ announcement: undefined, announcements: 0, rotation },
});
const underWay = authorityIn({
  ...{ phase: 'update_clients', rotationId, mode: 'manual', startedAt: at, gracePeriodMs: 1, phaseSince: at },
  ...{ phaseBy: 'admin', oldKeyId: 'old', newKeyId: 'new', lastRotatedAt: null },
});
const ended = authorityIn({ phase: 'standby', lastRotatedAt: at, lastRotationId: rotationId });
const never = authorityIn({ phase: 'standby', lastRotatedAt: null, lastRotationId: null });

describe('what a host has adopted', () => {
  it('is the beginning of the id of the rotation and its phase, and nothing before the first', () => {
    expect(rotationMark(underWay)).toBe('12345678:update_clients');
    expect(rotationMark(ended)).toBe('12345678:standby');
    for (const state of [never, { status: 'absent' } satisfies AuthorityState])
      expect(rotationMark(state)).toBe('');
  });

  it('is sent once there is any of it, of either authority, and not for ever longer', () => {
    expect(adoptedField(['', ''])).toEqual({});
    for (const adopted of [
      ['', '12345678:init'],
      ['12345678:init', ''],
    ] as const)
      expect(adoptedField(adopted)).toEqual({ adopted });
    const [most, more] = ['x'.repeat(32), 'x'.repeat(33)];
    expect(sentAdopted.safeParse([most, most]).success).toBe(true);
    expect([sentAdopted.safeParse([more, '']).success, sentAdopted.safeParse(['', more]).success]).toEqual([
      false,
      false,
    ]);
  });

  it('is the same as before where both marks are, and where nothing is said as where there is nothing', () => {
    expect(sameAdopted(['a', 'b'], ['a', 'b'])).toBe(true);
    expect(sameAdopted(['a', 'b'], ['a', 'c'])).toBe(false);
    expect(sameAdopted(['a', 'b'], ['c', 'b'])).toBe(false);
    expect([sameAdopted(undefined, ['', '']), sameAdopted(['', ''], undefined)]).toEqual([true, true]);
    expect([sameAdopted(undefined, ['', 'b']), sameAdopted(['a', ''], undefined)]).toEqual([false, false]);
  });

  it('is a phase for people, where it is a mark', () => {
    for (const phase of rotationPhases) expect(phaseOfMark(`12345678:${phase}`)).toBe(phase);
    for (const mark of ['', 'init', '12345678', '12345678:', '12345678:other', `123456789:init`])
      expect(phaseOfMark(mark)).toBeUndefined();
  });

  it('keeps a step waiting where it is not the phase of this rotation, or nothing is reported', () => {
    const host = (mark: string | undefined) => ({ hostId: mark ?? 'older', role: 'Node' as const, mark });
    const marks = ['12345678:update_clients', '12345678:init', '87654321:update_clients', '', undefined];
    const hosts = marks.map(host);
    expect(outstanding(underWay, hosts).map(({ mark }) => mark)).toEqual(marks.slice(1));
    expect(outstanding(never, hosts).map(({ mark }) => mark)).toEqual(marks.slice(0, 3));
  });
});

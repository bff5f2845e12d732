import { describe, expect, it } from 'vitest';
import type { CreatedAuthority, RetiredKey } from './authority-state.ts';
import { adoptedMark, hasLostItsKey, type HeldKeys } from './host-adoption.ts';
import type { RotationPhase } from './rotation.ts';

const at = '2026-01-01T00:00:00.000Z';
const rotationId = '12345678-0000-4000-8000-000000000000';
const keyOf = (keyId: string): CreatedAuthority['keys'][number] => ({
  ...{ keyId, sshPublicKey: `ssh ${keyId}`, tlsCertificatePem: `tls ${keyId}`, activeFrom: at },
});
const standing = { type: 'host', clusterName: 'c', retired: [], announcements: 0 } as const;
const inPhase = (phase: RotationPhase): CreatedAuthority => ({
  ...{ ...standing, status: 'created', announcement: undefined },
  keys: phase === 'standby' ? [keyOf('new')] : [keyOf('old'), keyOf('new')],
  rotation:
    phase === 'standby'
      ? { phase, lastRotatedAt: at, lastRotationId: rotationId }
      : {
          ...{ phase, rotationId, mode: 'manual', startedAt: at, gracePeriodMs: 1, phaseSince: at },
          ...{ phaseBy: 'admin', oldKeyId: 'old', newKeyId: 'new', lastRotatedAt: null },
        },
});
const held = (client: string, server: string, trusts = 'old new'): HeldKeys => ({
  ...{ client, server, trusts: trusts.split(' ') },
});

describe('what a host has adopted of a rotation of the host authority', () => {
  it.each([
    ['init', held('old', 'old', 'old'), ''],
    ['init', held('old', 'old'), 'init'],
    ['update_clients', held('old', 'old'), 'init'],
    ['update_clients', held('new', 'old', 'new'), ''],
    ['update_clients', held('new', 'old'), 'update_clients'],
    ['update_clients', held('new', 'new'), 'update_clients'],
    ['update_servers', held('old', 'old'), 'init'],
    ['update_servers', held('new', 'old'), 'update_clients'],
    ['update_servers', held('new', 'new'), 'update_servers'],
    ['rollback', held('new', 'old'), ''],
    ['rollback', held('old', 'new'), ''],
    ['rollback', held('old', 'old'), 'rollback'],
    ['standby', held('new', 'old'), ''],
    ['standby', held('new', 'new', 'new'), 'standby'],
  ] as const)('in %s with %j is %j', (phase, keys, expected) => {
    expect(adoptedMark(inPhase(phase), keys)).toBe(expected === '' ? '' : `12345678:${expected}`);
  });
  it('is nothing before the cluster is known, and before the first rotation', () => {
    expect(adoptedMark({ status: 'absent' }, held('old', 'old'))).toBe('');
    const never = {
      ...inPhase('standby'),
      rotation: { phase: 'standby', lastRotatedAt: null, lastRotationId: null },
    };
    expect(adoptedMark(never as CreatedAuthority, held('new', 'new'))).toBe('');
  });
});

describe('whether the certificate of a host went with a key that was withdrawn', () => {
  const withdrawnAt = '2026-01-02T00:00:00.000Z';
  const heardAt = '2026-01-01T23:59:00.000Z';
  const after = (why: RetiredKey['why']): CreatedAuthority => ({
    ...inPhase('standby'),
    retired: [{ key: keyOf('old'), at: withdrawnAt, by: 'admin', why, endsSessions: false, rotationId }],
  });
  it.each([
    ['rotated', '', true],
    ['rotated', '12345678:init', true],
    ['rotated', '12345678:update_clients', false],
    ['rotated', '12345678:update_servers', false],
    ['rotated', '87654321:update_servers', true],
    ['rolled_back', '', true],
    ['rolled_back', '12345678:update_servers', true],
    ['rolled_back', '12345678:init', false],
    ['rolled_back', '12345678:rollback', false],
    ['replaced', '12345678:update_servers', true],
  ] as const)('%s, last heard with "%s": %s', (why, mark, lost) => {
    expect(hasLostItsKey(after(why), { heardAt, mark })).toBe(lost);
  });
  it('never of one that was heard since, of an authority that is not there, and of one without rotations', () => {
    const since = '2026-01-02T00:00:01.000Z';
    expect(hasLostItsKey(after('rotated'), { heardAt: since, mark: '' })).toBe(false);
    expect(hasLostItsKey({ status: 'absent' }, { heardAt, mark: '' })).toBe(false);
    expect(hasLostItsKey(inPhase('standby'), { heardAt, mark: '' })).toBe(false);
  });
});

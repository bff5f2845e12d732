import { describe, expect, it } from 'vitest';
import type { CreatedAuthority } from '../../domain/authority-state.ts';
import type { HostWithMarks } from '../../views/reporting-hosts.ts';
import { followingOf } from './lagging-hosts.ts';

const at = '2026-01-01T00:00:00.000Z';
const rotationId = '12345678-0000-4000-8000-000000000000';
const state: CreatedAuthority = {
  ...{ status: 'created', type: 'host', clusterName: 'c', keys: [], retired: [] },
  ...{ announcement: undefined, announcements: 1 },
  rotation: {
    ...{ phase: 'update_clients', rotationId, mode: 'manual', startedAt: at, gracePeriodMs: 1 },
    ...{ phaseSince: at, phaseBy: 'admin', oldKeyId: 'old', newKeyId: 'new', lastRotatedAt: null },
  },
};
const host = (wish: Partial<HostWithMarks>): HostWithMarks => ({
  ...{ hostId: 'h', role: 'Node', nodename: 'n', address: '10.0.0.1:3022', version: '4.6.0' },
  ...{ understands: 2, lastSeenAt: at, trouble: undefined, marks: { host: '12345678:update_clients' } },
  ...wish,
});
const lagging = (wish: Partial<HostWithMarks>) => followingOf([host(wish)], 'host', state).lagging;

describe('a host', () => {
  it('follows when it has reported the phase of this authority, and its release knows of rotations', () => {
    expect(lagging({})).toEqual([]);
    expect(lagging({ understands: 3 })).toEqual([]);
    const user = followingOf([host({ marks: { user: '12345678:update_clients' } })], 'host', state);
    expect([user.alive, user.lagging.length]).toEqual([1, 1]);
  });

  it.each([
    [{ understands: 1 }, 'its release knows of no rotation: upgrade it', 'update_clients'],
    [
      { understands: undefined, trouble: 'full' },
      'its release knows of no rotation: upgrade it',
      'update_clients',
    ],
    [{ marks: { host: '12345678:init' } }, '', 'init'],
    [{ marks: { host: '12345678:init' }, trouble: 'the disk is full' }, 'the disk is full', 'init'],
    [
      { marks: { host: '87654321:update_clients' } },
      'what it reported is of an earlier rotation',
      'update_clients',
    ],
    [{ marks: {} }, '', undefined],
  ] as const)('that is %j lags: %j, having acknowledged %s', (wish, reason, acknowledged) => {
    const [one] = lagging(wish);
    expect(one).toEqual({
      ...{ hostId: 'h', role: 'Node', nodename: 'n', address: '10.0.0.1:3022', version: '4.6.0' },
      ...{ lastSeenAt: at, reason, ...(acknowledged !== undefined && { acknowledged }) },
    });
  });
});

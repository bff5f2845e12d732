import type { AuthorityRotation, LaggingHost } from '../../../api/operations/authority.ts';

/** A node that lacks a phase. */
export const laggingNode = (nodename: string, change: Partial<LaggingHost> = {}): LaggingHost => ({
  hostId: `id-of-${nodename}`,
  role: 'Node',
  nodename,
  address: '192.0.2.7:3022',
  version: '1.0.0',
  lastSeenAt: '2026-11-22T19:50:54.000Z',
  reason: '',
  ...change,
});

/** The user authority in phase init, by hand, of four hosts all of which have it. */
export const rotationInInit = (change: Partial<AuthorityRotation> = {}): AuthorityRotation => ({
  type: 'user',
  phase: 'init',
  underWay: {
    rotationId: '6c1a7f0e-0000-4000-8000-000000000001',
    mode: 'manual',
    gracePeriodMs: 30 * 3600 * 1000,
    startedAt: '2026-11-22T19:49:26.000Z',
    phaseSince: '2026-11-22T19:49:26.000Z',
    phaseBy: 'admin',
    endsAt: '2026-11-24T01:49:26.000Z',
    next: 'update_clients',
  },
  alive: 4,
  acknowledged: 4,
  lagging: [],
  ...change,
});

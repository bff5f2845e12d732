import { describe, expect, it } from 'vitest';
import type { SystemRole } from '../../domain/host-info.ts';
import type { Fact, Recorded, StreamName } from '../../log/event.ts';
import { presenceSnapshots } from '../../views/presence.ts';
import { requestsView } from '../../views/requests.ts';
import { rolesView } from '../../views/roles.ts';
import { recordedAt } from '../../views/testing.ts';
import { tokensView } from '../../views/tokens.ts';
import { usersView } from '../../views/users.ts';
import { logPolicy } from './log-policy.ts';

const event = (stream: StreamName, fact: Fact): Recorded => recordedAt(1, stream, fact);
const sees = (role: SystemRole, one: Recorded): boolean => logPolicy.visible(role, 'state', one);

describe('who follows what of the log', () => {
  it('is operators and auth servers all of it, proxies what decides and who is there, nodes what decides', () => {
    expect((['state', 'presence', 'audit'] as const).map((one) => logPolicy.followers(one))).toEqual([
      ['Admin', 'Auth', 'Proxy', 'Node'],
      ['Admin', 'Auth', 'Proxy'],
      ['Admin', 'Auth'],
    ]);
  });

  const created = event('role-admin', { type: 'role.created', data: {} });
  const seen = event('presence-1', { type: 'hosts.renewed', data: {} });
  const heads = event('heads-presence', { type: 'head.signed', data: {} });
  const told = event('audit-1', { type: 'audit.emitted', data: {} });
  it.each([
    ['Admin', [true, true, true, true]],
    ['Auth', [true, true, true, true]],
    ['Proxy', [true, true, false, false]],
    ['Node', [true, false, false, false]],
    ['user', [false, false, false, false]],
    ['anyone', [false, false, false, false]],
  ] as const)('%s sees of roles, presence, other streams of presence, and the audit: %j', (who, expected) => {
    expect([
      logPolicy.visible(who, 'state', created),
      logPolicy.visible(who, 'presence', seen),
      logPolicy.visible(who, 'presence', heads),
      logPolicy.visible(who, 'audit', told),
    ]).toEqual(expected);
    // What lies in the wrong partition decides nothing.
    if (who === 'Node' || who === 'Proxy') expect(logPolicy.visible(who, 'audit', created)).toBe(false);
  });

  it.each([
    ['cluster-main', true],
    ['authority-user', true],
    ['role-admin', true],
    ['lock-abc', true],
    ['trusted-root', true],
    ['invite-abc', false],
    ['config-auth', false],
    ['secrets-destroyed', false],
    ['log-key', false],
    ['unheard-of', false],
  ] as const)('of %s a node and a proxy see the facts: %s', (stream, expected) => {
    const one = event(stream, { type: 'any.fact', data: {} });
    expect([sees('Node', one), sees('Proxy', one)]).toEqual([expected, expected]);
  });

  it('is of clusters that trust this one for proxies alone', () => {
    const one = event('remote-leaf', { type: 'remote_cluster.admitted', data: {} });
    expect([sees('Node', one), sees('Proxy', one)]).toEqual([false, true]);
  });

  it('is of users what decides access, and no login', () => {
    const types = [
      'created',
      'roles_changed',
      'traits_changed',
      'locked',
      'unlocked',
      'password_set',
      'deleted',
    ];
    for (const type of types)
      expect(sees('Node', event('user-alice', { type: `user.${type}`, data: {} }))).toBe(true);
    for (const type of ['logged_in', 'login_refused', 'password_reset', 'otp_set'])
      expect(sees('Node', event('user-alice', { type: `user.${type}`, data: {} }))).toBe(false);
  });

  it('is of access requests what was approved, and that it ended', () => {
    const data = { user: 'ann', lifeId: 'l', roles: ['ops'], reason: 'why', annotations: {} };
    const expiresAt = '2026-01-01T13:00:00.000Z';
    const request = (type: string, more: object = {}): Recorded =>
      event('request-r1', { type: `request.${type}`, data: { ...data, expiresAt, ...more } });
    const resolved = (state: string): Recorded => request('resolved', { state, delegator: '' });
    expect(sees('Node', request('created'))).toBe(false);
    expect(sees('Proxy', resolved('denied'))).toBe(false);
    expect(sees('Node', resolved('approved'))).toBe(true);
    expect(sees('Node', request('ended'))).toBe(true);
    const fold = (...events: Recorded[]): unknown =>
      requestsView.encode(
        events.reduce((state, one) => requestsView.apply(state, one), requestsView.initial),
      );
    for (const all of [
      [request('created')],
      [request('created'), resolved('denied')],
      [request('created'), resolved('approved')],
      [request('created'), resolved('odd')],
    ])
      expect(logPolicy.snapshotFor('Node', 'state', requestsView.name, fold(...all))).toEqual(
        fold(...all.filter((one) => sees('Node', one))),
      );
  });

  it('is of hosts all for proxies, and proxies for nodes', () => {
    const host = (role: SystemRole) => ({
      ...{ hostId: '00000000-0000-4000-8000-000000000001', role, nodename: 'h', address: '10.0.0.1:1' },
      ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.5.0' },
    });
    const joined = (role: SystemRole) => event('host-1', { type: 'host.joined', data: { host: host(role) } });
    expect((['Proxy', 'Node', 'Auth'] as const).map((role) => sees('Node', joined(role)))).toEqual([
      ...[true, false, false],
    ]);
    expect((['Proxy', 'Node', 'Auth'] as const).map((role) => sees('Proxy', joined(role)))).toEqual([
      ...[true, true, true],
    ]);
    expect(sees('Node', event('host-1', { type: 'host.of_the_future', data: {} }))).toBe(false);
  });

  it('is no snapshot for people, of the audit, or of what a release before or after stores', () => {
    for (const who of ['user', 'anyone'] as const)
      for (const partition of ['state', 'presence'] as const)
        expect(logPolicy.snapshotFor(who, partition, rolesView.name, [])).toBeUndefined();
    for (const role of ['Proxy', 'Node', 'Auth', 'Admin'] as const) {
      expect(logPolicy.snapshotFor(role, 'audit', rolesView.name, [])).toBeUndefined();
      expect(logPolicy.snapshotFor(role, 'state', `${rolesView.name}0`, [])).toBeUndefined();
      expect(logPolicy.snapshotFor(role, 'state', rolesView.name, ['all'])).toEqual(['all']);
      const presence = logPolicy.snapshotFor(role, 'presence', presenceSnapshots.name, ['seen']);
      expect(presence).toEqual(role === 'Proxy' ? ['seen'] : undefined);
    }
    expect(logPolicy.snapshotFor('Proxy', 'presence', rolesView.name, ['seen'])).toBeUndefined();
  });
});

describe('what leaves the auth server of machines that join', () => {
  const ofTokens: Recorded[] = [
    event('token-abc', { type: 'token.created', data: { roles: ['Node'] } }),
    event('token-abc', { type: 'token.used', data: {} }),
    event('host-1', {
      type: 'host.admitted',
      data: { role: 'Proxy', nodename: 'n', key: 'k', previousKey: '', tokenId: 't', address: 'a' },
    }),
  ];

  it('is nothing of tokens and keys for proxies and nodes', () => {
    for (const one of ofTokens) {
      expect([sees('Proxy', one), sees('Node', one)]).toEqual([false, false]);
      expect([sees('Auth', one), sees('Admin', one)]).toEqual([true, true]);
    }
    for (const role of ['Proxy', 'Node'] as const)
      expect(logPolicy.snapshotFor(role, 'state', tokensView.name, [])).toBe(undefined);
  });

  it('is who is a member, for proxies', () => {
    const left = event('host-1', { type: 'host.left', data: { role: 'Node', reason: '' } });
    expect([sees('Proxy', left), sees('Node', left)]).toEqual([true, false]);
  });
});

describe('what a newer release wrote that must be heeded', () => {
  const suspended = event('user-alice', { type: 'user.suspended', data: { critical: ['suspension'] } });
  it('goes to whoever decides by it, though this release does not know it', () => {
    expect([sees('Proxy', suspended), sees('Node', suspended)]).toEqual([true, true]);
    const other = event('user-alice', { type: 'user.device_seen', data: { address: '203.0.113.7' } });
    const login = event('user-alice', { type: 'user.logged_in', data: { critical: ['x'] } });
    for (const one of [other, login]) expect([sees('Proxy', one), sees('Node', one)]).toEqual([false, false]);
    const locked = event('host-1', { type: 'host.locked', data: { critical: ['host-lock'] } });
    expect([sees('Proxy', locked), sees('Node', locked)]).toEqual([true, true]);
  });
  it('is in the snapshots of those, and what they do not see makes nobody unreadable for them', () => {
    const created: Fact = { type: 'user.created', data: { username: 'alice', roles: ['admin'], traits: {} } };
    const odd: Fact = { type: 'user.logged_in', data: { method: 'local', otp: 7 } };
    const foldOf = (...facts: Fact[]): unknown =>
      usersView.encode(
        facts.reduce(
          (state, fact, i) => usersView.apply(state, { ...recordedAt(i + 1, 'user-alice', fact), id: 'one' }),
          usersView.initial,
        ),
      );
    const given = (of: unknown): unknown => logPolicy.snapshotFor('Node', 'state', usersView.name, of);
    expect(given(foldOf(created, odd))).toEqual(foldOf(created));
    expect(given(foldOf(created, suspended.fact))).toEqual(foldOf(created, suspended.fact));
  });
});

describe('what leaves the auth server of users', () => {
  const addresses = { remote: '203.0.113.7:4711', local: '' };
  const facts: Fact[] = [
    { type: 'user.created', data: { username: 'alice', roles: ['admin'], traits: {} } },
    {
      type: 'user.logged_in',
      data: { method: 'local', otp: { status: 'not_required' }, addresses, source: '203.0.113.7' },
    },
    {
      type: 'user.locked',
      data: { until: '2026-01-01T00:20:00.000Z', reason: 'failures', source: '198.51.100.9' },
    },
    { type: 'user.locked', data: { until: '2026-01-01T00:20:00.000Z', reason: 'many failures' } },
  ];

  it.each(['Proxy', 'Node'] as const)('does not tell a %s where people log in from, or fail to', (role) => {
    const events = facts.map((fact, i) => ({ ...recordedAt(i + 1, 'user-alice', fact), id: 'one' }));
    const foldOf = (of: readonly Recorded[]): unknown =>
      usersView.encode(of.reduce((state, one) => usersView.apply(state, one), usersView.initial));
    const visible = events.filter((one) => sees(role, one));
    const given = logPolicy.snapshotFor(role, 'state', usersView.name, foldOf(events));
    for (const told of [visible, given]) expect(JSON.stringify(told)).not.toMatch(/203\.0|198\.51/);
    // A snapshot is as if folded from what is visible.
    expect(given).toEqual(foldOf(visible));
    expect(JSON.stringify(given)).toContain('many failures');
  });
});

import { describe, expect, it } from 'vitest';
import type { SystemRole } from '../domain/host-info.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { recordedAt } from '../views/testing.ts';
import { tokensView } from '../views/tokens.ts';
import { usersView } from '../views/users.ts';
import { logPolicy } from './log-policy.ts';

const event = (stream: StreamName, fact: Fact): Recorded => recordedAt(1, stream, fact);
const sees = (role: SystemRole, one: Recorded): boolean => logPolicy.visible(role, 'state', one);

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

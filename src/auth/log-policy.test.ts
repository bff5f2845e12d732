import { describe, expect, it } from 'vitest';
import type { SystemRole } from '../domain/host-info.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { recordedAt } from '../views/testing.ts';
import { tokensView } from '../views/tokens.ts';
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

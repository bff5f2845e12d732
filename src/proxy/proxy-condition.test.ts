import { describe, expect, it } from 'vitest';
import { emptyTable, tableFrom } from '../views/table.ts';
import { proxyCondition, type ProxyStanding } from './proxy-condition.ts';

const silent = { trouble: (): undefined => undefined };
const linkOf = (away?: string): ProxyStanding['auth'] => ({
  state: {
    connection: () =>
      away === undefined ? { status: 'connected' } : { status: 'away', since: 0, reason: away },
  } as ProxyStanding['auth']['state'],
});
const well: ProxyStanding = {
  auth: linkOf(),
  renewalTrouble: () => undefined,
  outbox: { ...silent, disk: () => ({ status: 'writable' }) },
  views: { failure: () => undefined },
  announcement: silent,
  peers: { unreachable: () => [] },
  roots: { troubles: () => [] },
};

describe('a proxy', () => {
  it('serves by what it last folded while auth is away, and does not count what follows from that', () => {
    const waiting = { ...well.outbox, trouble: (): string => 'events wait' };
    expect(
      proxyCondition({ ...well, auth: linkOf('refused'), outbox: waiting, announcement: waiting }),
    ).toEqual({
      status: 'degraded',
      lacks: [
        'auth is away (refused): those who have a certificate go on, by what was last known; nobody can log in',
      ],
      notices: [],
    });
  });
  it('serves though auth does not take what it says', () => {
    const refused = { trouble: (): string => 'heartbeat: refused' };
    expect(proxyCondition({ ...well, announcement: refused })).toMatchObject({
      status: 'degraded',
      lacks: ['heartbeat: refused'],
    });
    expect(proxyCondition(well)).toEqual({ status: 'serving', notices: [] });
  });
  it('reports what it cannot read', () => {
    const unread = { type: 'user.suspended', position: 7, critical: ['x'], why: '' };
    const state = { known: emptyTable, unreadable: tableFrom([['joe', { last: null, facts: [unread] }]]) };
    expect(
      proxyCondition({ ...well, views: { ...well.views, users: { state: () => state } } }),
    ).toMatchObject({
      status: 'degraded',
      lacks: [expect.stringContaining('cannot read user joe')],
    });
  });
  it('does not serve once its folds stand still: it lets nobody in', () => {
    const views = { failure: (): Error => new Error('the log has gone back') };
    for (const auth of [linkOf(), linkOf('refused')])
      expect(proxyCondition({ ...well, auth, views })).toMatchObject({
        status: 'not serving',
        reason: expect.stringContaining('the log has gone back') as string,
      });
  });

  it('says which other proxies it does not reach, which keeps no client away', () => {
    const reaching = (...ids: string[]): string[] => {
      const unreachable = (): { hostId: string; why: string }[] =>
        ids.map((hostId) => ({ hostId, why: 'refused' }));
      const condition = proxyCondition({ ...well, peers: { unreachable } });
      expect(condition.status).toBe(proxyCondition(well).status);
      return 'notices' in condition ? [...condition.notices] : [];
    };
    expect(reaching()).toEqual([]);
    expect(reaching('a')[0]).toContain(
      'does not reach 1 other proxy: a (refused); nodes in tunnels hang on all proxies',
    );
    expect(reaching('a', 'b')[0]).toContain('does not reach 2 other proxies: a (refused), b (refused)');
  });
});

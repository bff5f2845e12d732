import { describe, expect, it } from 'vitest';
import { minute, plusMs, second } from '../base/time.ts';
import { hostStream } from '../domain/streams.ts';
import { hostsView } from './hosts.ts';
import { leafStandings, liveProxies } from './live-proxies.ts';
import { presenceViewBy } from './presence.ts';
import { recordedAt } from './testing.ts';

const at = '2026-01-01T12:00:00.000Z';
const idOf = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;

/** Two proxies, and a node. */
function rig() {
  let [ms, position] = [0, 0];
  const view = presenceViewBy({ monotonic: () => ms, now: () => plusMs(at, ms) });
  let [hosts, presence] = [hostsView.initial, view.initial];
  for (const n of [1, 2, 3]) {
    const host = {
      ...{ hostId: idOf(n), role: n === 3 ? 'Node' : 'Proxy', nodename: `h${n}`, address: '10.0.0.1:1' },
      ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '5.0.0' },
    };
    const fact = { type: 'host.joined', data: { host } };
    hosts = hostsView.apply(hosts, recordedAt(++position, hostStream(idOf(n)), fact));
  }
  return {
    /** @param by milliseconds. */
    pass: (by: number) => (ms += by),
    hear: (n: number, said: { readonly leaves?: string[]; readonly leaving?: true } = {}) => {
      const role = n === 3 ? 'Node' : 'Proxy';
      const one = { hostId: idOf(n), role, seenAt: plusMs(at, ms), ttlSeconds: 600, ...said };
      const fact = { type: 'hosts.renewed', data: { hosts: [one] } };
      presence = view.apply(presence, recordedAt(++position, 'presence-x', fact));
    },
    live: () => liveProxies(hosts, presence).map(({ host }) => host.hostId),
    of: (name: string) => leafStandings(hosts, presence)(name),
  };
}

describe('a cluster that hangs on proxies', () => {
  it('is online while one of them is alive and reports it', () => {
    const { pass, hear, live, of } = rig();
    expect(of('leaf')).toEqual({ status: 'offline', at: [], lastHeardAt: undefined });
    hear(1, { leaves: ['leaf'] });
    hear(2, { leaves: ['leaf', 'other'] });
    // A node may say what it likes.
    hear(3, { leaves: ['third'] });
    expect(of('leaf')).toEqual({ status: 'online', at: [idOf(1), idOf(2)], lastHeardAt: at });
    expect(of('third')).toMatchObject({ status: 'offline', lastHeardAt: undefined });
    pass(minute);
    hear(1);
    hear(2, { leaves: ['leaf'] });
    expect(of('leaf')).toMatchObject({ status: 'online', at: [idOf(2)] });
    expect(of('other')).toEqual({ status: 'offline', at: [], lastHeardAt: at });
    expect(live()).toEqual([idOf(1), idOf(2)]);
  });

  it('is offline when the last of them leaves, or falls silent, and keeps when it was heard of', () => {
    const { pass, hear, live, of } = rig();
    hear(1, { leaves: ['leaf'] });
    hear(2, { leaves: ['leaf'], leaving: true });
    expect(of('leaf').at).toEqual([idOf(1)]);
    pass(149 * second);
    hear(3);
    expect(of('leaf').status).toBe('online');
    pass(second);
    hear(3);
    expect(of('leaf')).toEqual({ status: 'offline', at: [], lastHeardAt: at });
    expect(live()).toEqual([]);
  });
});

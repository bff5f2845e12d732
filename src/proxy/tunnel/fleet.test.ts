import { describe, expect, it } from 'vitest';
import { hostsView } from '../../views/hosts.ts';
import { presenceViewBy } from '../../views/presence.ts';
import { recordedAt } from '../../views/testing.ts';
import { hostStream } from '../../domain/streams.ts';
import { noticeFor, peerPlaces } from './fleet.ts';

const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const own = { hostId: id(1), address: { host: '10.0.0.1', port: 3080 } };
const peering = { type: 'proxy_peering', connections: 2 } as const;

interface Told {
  readonly n: number;
  /** How long ago it reported. */
  readonly agoMs?: number;
  readonly peerAddress?: string;
  readonly leaving?: true;
}

/** What a proxy knows when these have reported. */
function known(...all: readonly Told[]) {
  let [position, nowMs] = [0, 0];
  const presence = presenceViewBy({ monotonic: () => nowMs, now: () => '2026-01-01T00:00:00.000Z' });
  let [hosts, heard] = [hostsView.initial, presence.initial];
  for (const { n, agoMs = 0, peerAddress, leaving } of all.toSorted(
    (a, b) => (b.agoMs ?? 0) - (a.agoMs ?? 0),
  )) {
    nowMs = 1_000_000 - agoMs;
    const host = {
      ...{
        hostId: id(n),
        role: 'Proxy',
        nodename: `proxy${n}`,
        address: `10.0.0.${n}:3080`,
        publicAddress: '',
      },
      ...{
        sshPublicAddress: '',
        labels: {},
        version: '4.5.0',
        ...(peerAddress !== undefined && { peerAddress }),
      },
    };
    hosts = hostsView.apply(
      hosts,
      recordedAt(++position, hostStream(id(n)), { type: 'host.joined', data: { host } }),
    );
    const renewal = {
      hostId: id(n),
      role: 'Proxy',
      seenAt: '2026-01-01T00:00:00.000Z',
      ttlSeconds: 600,
      ...(leaving && { leaving }),
    };
    heard = presence.apply(
      heard,
      recordedAt(++position, 'presence-x', { type: 'hosts.renewed', data: { hosts: [renewal] } }),
    );
  }
  return { hosts: { state: () => hosts }, presence: { state: () => heard } } as never;
}

describe('the other proxies', () => {
  it('are dialled at their port for proxies, then at their web port', () => {
    const views = known({ n: 1 }, { n: 2, peerAddress: '10.0.0.2:3021' }, { n: 3 });
    expect(peerPlaces(views, own.hostId)).toEqual([
      {
        hostId: id(2),
        addresses: [
          { host: '10.0.0.2', port: 3021 },
          { host: '10.0.0.2', port: 3080 },
        ],
      },
      { hostId: id(3), addresses: [{ host: '10.0.0.3', port: 3080 }] },
    ]);
  });

  it('are those that stay, and have reported within the last minutes', () => {
    const views = known(
      { n: 1 },
      { n: 2, agoMs: 149_000 },
      { n: 3, agoMs: 151_000 },
      { n: 4, leaving: true },
    );
    expect(peerPlaces(views, own.hostId).map(({ hostId }) => hostId)).toEqual([id(2)]);
  });
});

describe('what nodes are told', () => {
  const views = known({ n: 1 }, { n: 2 });
  const here = { away: new Set<string>(), nodes: 0 };
  const proxies = [
    { hostId: id(1), address: '10.0.0.1:3080' },
    { hostId: id(2), address: '10.0.0.2:3080' },
  ];

  it('is on how many proxies to hang, and which there are', () => {
    expect(noticeFor(views, own, peering, here)).toEqual({ links: 2, proxies, spreadMs: 0 });
    expect(noticeFor(views, own, { type: 'agent_mesh' }, here).links).toBe('all');
  });

  it('is to hang on all while one is not reached, and which one that is', () => {
    const [first, second] = proxies;
    expect(noticeFor(views, own, peering, { ...here, away: new Set([id(2)]) })).toEqual({
      ...{ links: 'all', proxies: [first, { ...second, away: true }], spreadMs: 0 },
    });
  });

  it('is to spread over a time that grows with their number, and has an end', () => {
    const spread = (nodes: number): number => noticeFor(views, own, peering, { ...here, nodes }).spreadMs;
    expect([299, 300, 2_000, 1_000_000].map(spread)).toEqual([0, 1_000, 6_000, 30_000]);
  });
});

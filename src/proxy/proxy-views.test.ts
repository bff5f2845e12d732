import { describe, expect, it } from 'vitest';
import { minute, plusMs } from '../base/time.ts';
import type { HostFact } from '../domain/host.ts';
import { hostRecordOf } from '../domain/host-info.ts';
import type { PresenceFact } from '../domain/presence.ts';
import { hostsView } from '../views/hosts.ts';
import { locksView } from '../views/locks.ts';
import { type PresenceState, presenceViewBy, type Seen } from '../views/presence.ts';
import { entriesOf, tableFrom } from '../views/table.ts';
import { scriptedLog, recordedAt } from '../views/testing.ts';
import { nodeDirectory, openProxyViews } from './proxy-views.ts';
import { nodeInfo } from './testing.ts';

const id = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;
const authorityCreated = {
  type: 'authority.created',
  data: {
    type: 'user',
    clusterName: 'example',
    keys: [
      {
        keyId: 'k',
        sshPublicKey: 'ssh-ed25519 AAAA',
        tlsCertificatePem: '',
        activeFrom: '2026-01-01T00:00:00.000Z',
      },
    ],
  },
};
const hostJoined = (n: number, name: string): HostFact => ({
  type: 'host.joined',
  data: { host: hostRecordOf(nodeInfo(id(n), name, `10.0.0.${n}:3022`)) },
});
const renewed = (n: number, seenAt: string): PresenceFact => ({
  type: 'hosts.renewed',
  data: { hosts: [{ hostId: id(n), role: 'Node', seenAt, ttlSeconds: 600 }] },
});
let ms = 0;
const sink = { warn: () => undefined };
const clock = { now: () => '2020-01-01T00:00:00.000Z', monotonic: () => ms };
const connection = (): { status: 'connected' } => ({ status: 'connected' });

describe('what a proxy knows of the cluster', () => {
  it('is waited for until it is what auth had to tell', async () => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    const opening = openProxyViews(
      {
        state: { ...state, connection, ageMs: () => 0, headSeen: () => 3 },
        presence: { ...presence, connection, ageMs: () => 0, headSeen: () => 0 },
      },
      clock,
      sink,
    );
    let opened = false;
    void opening.then(() => (opened = true));
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await turn();
    state.tell(
      recordedAt(1, 'authority-user', authorityCreated),
      recordedAt(2, 'host-x', hostJoined(1, 'a')),
    );
    await turn();
    expect(opened).toBe(false);
    state.tell(recordedAt(3, `host-${id(2)}`, hostJoined(2, 'b')));
    const views = await opening;
    expect(views.hosts.position()).toBe(3);
    views.close();
    expect([state.readers.size, presence.readers.size]).toEqual([0, 0]);
  });
  it('is left when the log is closed before', async () => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    const opening = openProxyViews(
      {
        state: { ...state, connection, ageMs: () => 0, headSeen: () => 3 },
        presence: { ...presence, connection, ageMs: () => 0, headSeen: () => 0 },
      },
      clock,
      sink,
    );
    await new Promise((resolve) => setImmediate(resolve));
    state.complete();
    await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
    expect(presence.readers.size).toBe(0);
  });
});

describe('who of the nodes is alive', () => {
  interface Directory {
    readonly nodes: ReturnType<typeof nodeDirectory>;
    readonly hear: (fact: PresenceFact) => void;
  }
  const at = '2020-01-01T00:00:00.000Z';
  const directory = async (): Promise<Directory> => {
    const [state, presence] = [scriptedLog(), scriptedLog()];
    const opening = openProxyViews(
      {
        state: { ...state, connection, ageMs: () => 0, headSeen: () => 1 },
        presence: { ...presence, connection, ageMs: () => 0, headSeen: () => 0 },
      },
      clock,
      sink,
    );
    await new Promise((resolve) => setImmediate(resolve));
    state.tell(recordedAt(1, 'authority-user', authorityCreated));
    const views = await opening;
    state.tell(
      recordedAt(2, `host-${id(1)}`, hostJoined(1, 'a')),
      recordedAt(3, `host-${id(2)}`, hostJoined(2, 'b')),
    );
    let position = 0;
    return {
      nodes: nodeDirectory(views, () => at),
      hear: (fact) => {
        presence.tell(recordedAt(++position, 'presence-x', fact));
      },
    };
  };

  it('is told at the moment the proxy last heard of any, so that nodes stay alive while auth is away', async () => {
    const { nodes, hear } = await directory();
    hear(renewed(1, at));
    ms += 9 * minute;
    hear(renewed(2, at));
    ms += 60 * minute;
    expect([nodes.isAlive(id(1)), nodes.isAlive(id(2))]).toEqual([true, true]);
    expect(nodes.goneSince(id(1))).toBeUndefined();
  });
  it('is not who was silent while others were heard, nor who was never seen', async () => {
    const { nodes, hear } = await directory();
    hear(renewed(1, at));
    ms += 11 * minute;
    hear(renewed(2, at));
    expect([nodes.isAlive(id(1)), nodes.isAlive(id(2)), nodes.isAlive(id(3))]).toEqual([false, true, false]);
    expect(nodes.goneSince(id(1))).toBe(at);
  });
  it('does not hang on the clock of an auth server that is ahead for a moment', async () => {
    const { nodes, hear } = await directory();
    hear(renewed(1, at));
    ms += minute;
    hear(renewed(2, plusMs(at, 15 * minute)));
    expect([nodes.isAlive(id(1)), nodes.isAlive(id(2))]).toEqual([true, true]);
    for (let i = 0; i < 10; i++) {
      ms += minute;
      hear(renewed(1, plusMs(at, (i + 2) * minute)));
    }
    expect([nodes.isAlive(id(1)), nodes.isAlive(id(2))]).toEqual([true, false]);
  });
  it('knows the nodes by name', async () => {
    expect((await directory()).nodes.index().byName('A')).toMatchObject([{ hostId: id(1) }]);
  });

  it.each([100, 1_000, 30_000])('is told of one among %d without a look at the others', (count) => {
    let looks = 0;
    const counted = (seen: object): object =>
      new Proxy(seen, {
        get: (of, name) => {
          looks++;
          return Reflect.get(of, name) as unknown;
        },
      });
    const view = presenceViewBy(clock);
    const hosts = Array.from({ length: count }, (_, n) => ({
      ...{ hostId: `h${n}`, role: 'Node' as const, seenAt: at, ttlSeconds: 600 },
    }));
    const tell = (state: PresenceState, some: typeof hosts): PresenceState =>
      view.apply(
        state,
        recordedAt(1, 'presence-x', { type: 'hosts.renewed', data: { hosts: some } } satisfies PresenceFact),
      );
    const all = tell(view.initial, hosts);
    const withLooks = entriesOf(all).map(([key, seen]) => [key, counted(seen) as Seen] as const);
    let state: PresenceState = { ...all, ...tableFrom(withLooks) };
    const nodes = nodeDirectory(
      {
        hosts: { state: () => hostsView.initial },
        locks: { state: () => locksView.initial },
        presence: { state: () => state },
      } as unknown as Parameters<typeof nodeDirectory>[0],
      () => at,
    );
    for (let n = 0; n < 3; n++) {
      state = tell(state, hosts.slice(n, n + 1));
      looks = 0;
      expect(nodes.isAlive(`h${count - 1}`)).toBe(true);
      expect(looks).toBeLessThan(20);
    }
  });
});

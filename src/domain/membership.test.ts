import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ParsedAuditEvent, parsedAuditEvent } from './audit-event.ts';
import { audit, tellsOfSession } from './audit.ts';
import type { AuthorityFact } from './authority-facts.ts';
import { activeSigner, trustedKeys } from './authority-state.ts';
import { authority } from './authority.ts';
import { cluster, type ClusterFact } from './cluster.ts';
import { host, type HostCommand } from './host.ts';
import { type HostInfo, hostRecordOf, systemRole } from './host-info.ts';
import { appendsOf, presence } from './presence.ts';
import { expectReplays, fold, scenario } from './testing.ts';

const now = '2026-01-01T12:00:00.000Z';

describe('opening the cluster', () => {
  const given = scenario(cluster);
  const clusterId = '00000000-0000-4000-8000-000000000001';
  const open = { type: 'open-cluster', clusterName: 'example.com', clusterId, secondFactor: 'otp' } as const;
  const created: ClusterFact = {
    type: 'cluster.created',
    data: { clusterName: 'example.com', clusterId, secondFactor: 'otp' },
  };
  it('creates it the first time and changes nothing the second', () => {
    given().when(open).then(created);
    given(created).when(open).then();
  });
  it('records the second factor only when it differs', () => {
    given(created)
      .when({ ...open, secondFactor: 'off' })
      .then({ type: 'cluster.configured', data: { secondFactor: 'off' } });
  });
  it('refuses to rename it, and a name that cannot be one', () => {
    given(created)
      .when({ ...open, clusterName: 'other' })
      .refused('misconfigured', 'cannot be renamed');
    for (const clusterName of ['', 'a b', '-a', 'a..b', '../x', 'x'.repeat(256)])
      given()
        .when({ ...open, clusterName })
        .refused('misconfigured');
  });
  it('replays', () => {
    expectReplays(
      cluster,
      fc.record({
        type: fc.constant('open-cluster' as const),
        clusterName: fc.constantFrom('a', 'b', 'x y'),
        clusterId: fc.constant(clusterId),
        secondFactor: fc.constantFrom('off' as const, 'otp' as const),
      }),
    );
  });
});

describe('creating an authority', () => {
  const given = scenario(authority);
  const key = { keyId: 'k1', sshPublicKey: 'ssh-ed25519 AAAA', tlsCertificatePem: 'PEM', activeFrom: now };
  const [sshPrivateKey, tlsPrivateKey] = [new Uint8Array([1]), new Uint8Array([2])];
  const create = {
    type: 'create-authority',
    authority: 'user',
    clusterName: 'c',
    key: { ...key, sshPrivateKey, tlsPrivateKey },
  } as const;
  const created: AuthorityFact = {
    type: 'authority.created',
    data: { type: 'user', clusterName: 'c', keys: [key] },
  };
  it('seals the private halves under the id of the key', () => {
    given()
      .when(create)
      .then({ ...created, secrets: { 'ssh.k1': sshPrivateKey, 'tls.k1': tlsPrivateKey } });
  });
  it('happens once', () => {
    given(created).when(create).refused('already_exists');
  });
  it('lets the newest key sign and trusts them all, the signing one first', () => {
    const old = { ...key, keyId: 'k0', activeFrom: '2025-01-01T00:00:00.000Z' };
    const state = fold(authority, [{ ...created, data: { ...created.data, keys: [old, key] } }]);
    expect(activeSigner(state).keyId).toBe('k1');
    expect(trustedKeys(state).map(({ keyId }) => keyId)).toEqual(['k1', 'k0']);
  });
  it('has no signer and trusts nothing before', () => {
    expect(() => activeSigner(authority.initial)).toThrow(expect.objectContaining({ code: 'unavailable' }));
    expect(trustedKeys(authority.initial)).toEqual([]);
  });
  it('replays', () => {
    expectReplays(authority, fc.constant(create));
  });
});

const info: HostInfo = {
  hostId: '00000000-0000-4000-8000-000000000002',
  role: 'Node',
  nodename: 'node1',
  reachability: { status: 'direct', address: '192.0.2.1:3022' },
  publicAddress: '',
  sshPublicAddress: '',
  labels: { env: 'dev', os: 'linux' },
  version: '4.5.0',
};

describe('recording a host', () => {
  const given = scenario(host);
  const joined = { type: 'host.joined', data: { host: hostRecordOf(info) } } as const;
  const record = (host: HostInfo): HostCommand => ({ type: 'record-host', host });
  it('writes the address of one that is reached there as every release reads it', () => {
    const [fact] = host.decide(host.initial, record(info));
    const { address, ...rest } = fact?.type === 'host.joined' ? fact.data.host : expect.unreachable();
    expect(address).toBe('192.0.2.1:3022');
    expect(rest).not.toHaveProperty('reachability');
  });
  it('joins it once', () => {
    given().when(record(info)).then(joined);
    given(joined)
      .when(record({ ...info, labels: { os: 'linux', env: 'dev' } }))
      .then();
  });
  it('records each change', () => {
    for (const change of [
      { reachability: { status: 'direct', address: 'x:1' } },
      { reachability: { status: 'tunnel', proxies: [] } },
      { labels: {} },
      { labels: { env: 'prod', os: 'linux' } },
      { version: '5' },
    ] as const)
      given(joined)
        .when(record({ ...info, ...change }))
        .then({ type: 'host.changed', data: { host: hostRecordOf({ ...info, ...change }) } });
  });
  it('keeps the roles of one process apart', () => {
    const proxy: HostInfo = { ...info, role: 'Proxy' };
    given(joined)
      .when(record(proxy))
      .then({ type: 'host.joined', data: { host: hostRecordOf(proxy) } });
    const left = { type: 'host.left', data: { role: 'Node', reason: 'removed' } } as const;
    given(joined)
      .when({ type: 'remove-host', roles: ['Proxy'], reason: 'removed' })
      .then();
    given(joined)
      .when({ type: 'remove-host', roles: ['Node', 'Proxy'], reason: 'removed' })
      .then(left);
    given(joined, left).when(record(info)).then(joined);
  });
  it('forgets a machine in several roles at once', () => {
    const left = (role: 'Node' | 'Proxy') => ({ type: 'host.left', data: { role, reason: '' } }) as const;
    given(joined, { type: 'host.joined', data: { host: hostRecordOf({ ...info, role: 'Proxy' }) } })
      .when({ type: 'remove-host', roles: ['Proxy', 'Node'], reason: '' })
      .then(left('Proxy'), left('Node'));
  });
  it('replays', () => {
    const any = fc.record({
      role: fc.constantFrom(...systemRole.options),
      nodename: fc.constantFrom('a', 'b'),
    });
    expectReplays(
      host,
      any.chain(({ role, nodename }) =>
        fc.constantFrom<HostCommand>(record({ ...info, role, nodename }), {
          type: 'remove-host',
          roles: [role],
          reason: '',
        }),
      ),
    );
  });
});

describe('renewing hosts', () => {
  const renewal = { hostId: info.hostId, role: 'Node', seenAt: now, ttlSeconds: 60 } as const;
  it('is one fact, several only for very many, each far below the limit of an event', () => {
    expect(presence.decide(null, { type: 'renew-hosts', hosts: [] })).toEqual([]);
    const facts = presence.decide(null, {
      type: 'renew-hosts',
      hosts: Array.from({ length: 1_000 }, () => renewal),
    });
    expect(facts.flatMap((fact) => fact.data.hosts)).toHaveLength(1_000);
    expect(facts.length).toBe(3);
    for (const fact of facts) expect(JSON.stringify(fact).length).toBeLessThan(60_000);
  });

  it('of a large cluster is several appends, each of a size that every store takes', () => {
    const hosts = Array.from({ length: 10_000 }, () => renewal);
    const facts = presence.decide(null, { type: 'renew-hosts', hosts });
    const appends = appendsOf(facts);
    expect(appends.flat()).toEqual(facts);
    for (const some of appends) expect(JSON.stringify(some).length).toBeLessThan(256 * 1024);
  });
});

describe('recording audit events', () => {
  const event = (n: number, extra: object = {}): ParsedAuditEvent =>
    parsedAuditEvent.parse({
      event: 'exec',
      code: 'T3002I',
      uid: `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
      time: now,
      ei: n,
      ...extra,
    });
  const record = (...ns: number[]): { type: 'record-audit'; events: ReturnType<typeof event>[] } => ({
    type: 'record-audit',
    events: ns.map((n) => event(n)),
  });
  it('stores an event once, in one batch or many', () => {
    const facts = audit.decide(audit.initial, record(1, 2, 1));
    expect(facts.map((fact) => fact.data.event.ei)).toEqual([1, 2]);
    expect(audit.decide(fold(audit, facts), record(2, 3, 1)).map((fact) => fact.data.event.ei)).toEqual([3]);
  });
  it('tells the session of an event, whatever stream it lies in', () => {
    const [fact] = audit.decide(audit.initial, {
      type: 'record-audit',
      events: [event(1, { sid: 's1' })],
      numbered: { generation: 'g1', numbers: [1] },
    });
    expect(fact && ['s1', 's2'].map((sid) => tellsOfSession(fact, sid))).toEqual([true, false]);
    expect(tellsOfSession({ type: 'log.head_signed', data: {} }, 's1')).toBe(false);
  });
  it('remembers the last 2,048 of a stream, and not without end', () => {
    let state = audit.initial;
    for (let n = 0; n < 10_000; n++)
      for (const fact of audit.decide(state, record(n))) state = audit.evolve(state, fact);
    const known = (n: number): boolean => audit.decide(state, record(n)).length === 0;
    expect(Array.from({ length: 2_048 }, (_, i) => 9_999 - i).every(known)).toBe(true);
    expect(known(0)).toBe(false);
  });
});

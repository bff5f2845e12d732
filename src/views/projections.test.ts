import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import type { AuthorityFact } from '../domain/authority-facts.ts';
import type { HostFact } from '../domain/host.ts';
import { hostInfoOf, type HostRecord } from '../domain/host-info.ts';
import { directAddress } from '../domain/reachability.ts';
import type { InviteFact } from '../domain/invite.ts';
import { adminRole } from '../domain/preset-roles.ts';
import type { RoleFact } from '../domain/role.ts';
import type { UserFact } from '../domain/user-fact.ts';
import type { Recorded } from '../log/event.ts';
import { authoritiesView, signerOf, trustedOf } from './authorities.ts';
import { clusterView } from './cluster.ts';
import { findHost, type HostsState, hostsView, nameSince, oddHosts } from './hosts.ts';
import { hostsInRole } from './sorted-hosts.ts';
import { findInvite, invitesView } from './invites.ts';
import { lookUpRoles, rolesView } from './roles.ts';
import { project, recordedAt } from './testing.ts';
import { valuesOf } from './table.ts';
import { findUser, summariesOf, usersView } from './users.ts';

const at = '2026-01-01T12:00:00.000Z';
const addresses = { remote: '', local: '' };
const sealed = { passwordHash: { keyId: 'k', nonce: 'n', ciphertext: 'c' } };

const created: UserFact = {
  type: 'user.created',
  data: { username: 'joe', roles: ['admin'], traits: { logins: ['joe'] } },
};
const passwordSet: UserFact = { type: 'user.password_set', data: { passwordId: 'p1', addresses } };
const otpSet: UserFact = { type: 'user.otp_set', data: { otpId: 'o1', usedStep: 1 } };
const locked: UserFact = { type: 'user.locked', data: { until: plusMs(at, 1), reason: 'x' } };
const loggedIn: UserFact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'not_required' }, addresses: { remote: 'r', local: 'l' } },
};
const deleted: UserFact = { type: 'user.deleted', data: {} };

describe('the users', () => {
  it('are listed with roles, traits and lock', () => {
    const users = project(usersView, [
      ['user-joe', created, at],
      ['user-amy', { ...created, data: { ...created.data, username: 'amy' } }, plusMs(at, 5)],
      ['user-joe', locked],
      ['role-user-x', created],
    ]);
    expect(summariesOf(valuesOf(users.known), () => ({ now: at }))).toEqual([
      {
        username: 'amy',
        roles: ['admin'],
        traits: { logins: ['joe'] },
        lock: { status: 'active' },
        createdAt: plusMs(at, 5),
        secondFactor: 'none',
        lastLoginAt: null,
      },
      {
        username: 'joe',
        roles: ['admin'],
        traits: { logins: ['joe'] },
        lock: { status: 'locked', until: plusMs(at, 1), reason: 'x' },
        createdAt: at,
        secondFactor: 'none',
        lastLoginAt: null,
      },
    ]);
  });

  it('are listed with their code device and their last login, of this life alone', () => {
    const listed = (...facts: UserFact[]): unknown => {
      const events = facts.map((fact, i) => ['user-joe', fact, plusMs(at, i)] as const);
      return summariesOf(valuesOf(project(usersView, events).known), () => ({ now: at }))[0];
    };
    expect(listed(created, otpSet, loggedIn, loggedIn, locked)).toMatchObject({
      secondFactor: 'otp',
      lastLoginAt: plusMs(at, 3),
    });
    expect(listed(created, otpSet, loggedIn, deleted, created)).toMatchObject({
      secondFactor: 'none',
      lastLoginAt: null,
    });
  });

  it('point to the events whose secrets are in force', () => {
    const after = (...facts: (readonly [UserFact, Recorded['sealed']?])[]): ReturnType<typeof findUser> => {
      const users = facts.reduce((state, [fact, secrets], i) => {
        const event = recordedAt(i + 1, 'user-joe', fact);
        return usersView.apply(state, secrets ? { ...event, sealed: secrets } : event);
      }, usersView.initial);
      return findUser(users, 'joe');
    };
    const one = after(
      [created],
      [passwordSet, sealed],
      [otpSet, sealed],
      [{ type: 'user.unlocked', data: {} }],
    );
    expect([one?.passwordIn?.position, one?.otpIn?.position]).toEqual([2, 3]);
    const reset = after(
      [created],
      [passwordSet, sealed],
      [otpSet, sealed],
      [{ type: 'user.password_reset', data: {} }],
    );
    expect([reset?.passwordIn, reset?.otpIn?.position]).toEqual([null, 3]);
    const again = after([created], [passwordSet, sealed], [otpSet, sealed], [deleted], [created]);
    expect([again?.passwordIn, again?.otpIn]).toEqual([null, null]);
    expect(after([created], [passwordSet])?.passwordIn).toBe(null);
  });
});

describe('the roles', () => {
  const fact: RoleFact = { type: 'role.created', data: { role: adminRole } };
  it('are found all, or the missing ones are named', () => {
    const roles = project(rolesView, [['role-admin', fact]]);
    expect(lookUpRoles(roles, ['admin'])).toEqual({ status: 'found', roles: [adminRole] });
    expect(lookUpRoles(roles, ['admin', 'gone'])).toEqual({
      status: 'missing',
      names: ['gone'],
      unreadable: [],
    });
    const none = project(rolesView, [
      ['role-admin', fact],
      ['role-admin', { type: 'role.deleted', data: { name: 'admin' } }],
    ]);
    expect(lookUpRoles(none, ['admin']).status).toBe('missing');
  });
});

describe('the authorities', () => {
  const key = { keyId: 'k1', sshPublicKey: 's', tlsCertificatePem: 't', activeFrom: at };
  const fact: AuthorityFact = {
    type: 'authority.created',
    data: { type: 'host', clusterName: 'c', keys: [key] },
  };
  it('tell what is trusted, what signs, and where it is sealed', () => {
    const state = project(authoritiesView, [['authority-host', fact]]);
    expect([trustedOf(state, 'host'), trustedOf(state, 'user')]).toEqual([[key], []]);
    expect(signerOf(state, 'host')).toEqual({ key, sealedIn: undefined });
    const event = { ...recordedAt(1, 'authority-host', fact), sealed };
    expect(signerOf(authoritiesView.apply(authoritiesView.initial, event), 'host').sealedIn).toBe(event);
    expect(() => signerOf(state, 'user')).toThrow(expect.objectContaining({ code: 'unavailable' }));
  });
});

const host: HostRecord = {
  hostId: '00000000-0000-4000-8000-000000000002',
  role: 'Node',
  nodename: 'b',
  address: '',
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '',
};

describe('the hosts', () => {
  const joined = (h: HostRecord): HostFact => ({ type: 'host.joined', data: { host: h } });
  it('are listed by role and name, until they leave', () => {
    const other = { ...host, hostId: '00000000-0000-4000-8000-000000000003', nodename: 'a' };
    const facts = [
      [`host-${host.hostId}`, joined(host)],
      [`host-${host.hostId}`, joined({ ...host, role: 'Proxy' })],
      [`host-${other.hostId}`, joined(other)],
    ] as const;
    const hosts = project(hostsView, facts);
    expect(hostsInRole(hosts, 'Node')).toEqual([hostInfoOf(other), hostInfoOf(host)]);
    expect(findHost(hosts, host.hostId, 'Proxy')).toMatchObject({ role: 'Proxy' });
    const left = project(hostsView, [
      ...facts,
      [`host-${other.hostId}`, { type: 'host.left', data: { role: 'Node', reason: '' } }],
    ]);
    expect([hostsInRole(left, 'Node'), left.known.size]).toEqual([[hostInfoOf(host)], 1]);
  });
});

describe('hosts that are not reached at an address', () => {
  const id = host.hostId;
  const newer = { status: 'relay', by: ['x'], weight: 3 };
  const stored = (said: Partial<HostRecord>): HostsState =>
    project(hostsView, [
      [`host-${id}`, { type: 'host.joined', data: { host: { ...host, nodename: 'n1', ...said } } }],
    ]);
  it('are known as what they are, with what a newer release wrote kept in snapshots', () => {
    const relayed = stored({ reachability: newer });
    expect(findHost(relayed, id, 'Node')?.reachability).toEqual({
      status: 'unknown',
      kind: 'relay',
      record: newer,
    });
    expect(JSON.stringify(hostsView.encode(relayed))).toContain(JSON.stringify(newer));
    expect(oddHosts(relayed)).toEqual([]);
  });
  it('and those that are, stand in a snapshot as in one of any release', () => {
    const [[, membership]] = (hostsView.encode(stored({ address: '10.0.0.1:3022' })) as { known: unknown })
      .known as [[string, { roles: { Node: object } }]];
    expect(membership.roles.Node).toEqual({ ...host, nodename: 'n1', address: '10.0.0.1:3022' });
  });
});

describe('hosts that a release before stored with any text', () => {
  const stored = (said: Partial<HostRecord>): HostFact => ({
    type: 'host.joined',
    data: { host: { ...host, nodename: 'n1', address: '10.0.0.1:3022', version: '4.5.0', ...said } },
  });
  const shown = (said: Partial<HostRecord>) => {
    const hosts = project(hostsView, [[`host-${host.hostId}`, stored(said)]]);
    return { host: findHost(hosts, host.hostId, said.role ?? 'Node'), odd: oddHosts(hosts) };
  };
  it.each([
    [{ nodename: 'x\nBASH_ENV=y' }, { nodename: host.hostId }, 'nodename'],
    [{ address: 'a\nb:1' }, { reachability: { status: 'direct', address: '' } }, 'address'],
    [{ publicAddress: 'x:1\nBASH_ENV=$(id)' }, { publicAddress: '' }, 'public address'],
    [{ sshPublicAddress: '*:3023' }, { sshPublicAddress: '' }, 'ssh public address'],
    [{ version: '4.5.0\u001b[2J' }, { version: '' }, 'version'],
    [{ labels: { env: 'prod', l: 'x\u202ey', 'a b': '1' } }, { labels: { env: 'prod' } }, 'labels'],
  ] as const)('%j are shown without it, and it is known what was left out', (said, kept, field) => {
    const { host: seen, odd } = shown(said);
    expect(seen).toMatchObject(kept);
    expect(odd).toEqual([{ hostId: host.hostId, role: 'Node', leftOut: [field] }]);
  });
  it('are as they were where each text has its form', () => {
    expect(shown({ labels: { env: 'Größe 2' } })).toMatchObject({ host: { nodename: 'n1' }, odd: [] });
  });
  it('show nothing that breaks a line, whatever was stored', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 64 }),
      fc.constantFrom('x:1\nA=b', 'n1', '[::1]:22'),
    );
    const any = fc.record({
      nodename: text,
      address: text,
      publicAddress: text,
      sshPublicAddress: text,
      version: text,
      labels: fc.dictionary(text, text, { noNullPrototype: true }),
    });
    fc.assert(
      fc.property(any, (said) => {
        fc.pre(said.nodename !== '');
        const seen = shown(said).host;
        for (const one of [
          seen?.nodename,
          seen && directAddress(seen.reachability),
          seen?.publicAddress,
          seen?.sshPublicAddress,
          seen?.version,
        ])
          expect(one).toMatch(/^[\x21-\x7e]*$/);
        expect(JSON.stringify(Object.entries(seen?.labels ?? {}))).not.toMatch(/[\p{C}]/u);
      }),
    );
  });
  it('say since when each has its name', () => {
    const hosts = project(hostsView, [
      [`host-${host.hostId}`, stored({})],
      [`host-${host.hostId}`, { ...stored({ version: '4.5.1' }), type: 'host.changed' }],
    ]);
    expect(nameSince(hosts, host.hostId, 'Node')).toEqual({ position: 1, at: '2026-01-01T00:00:00.000Z' });
    const renamed = project(hostsView, [
      [`host-${host.hostId}`, stored({})],
      [`host-${host.hostId}`, { ...stored({ nodename: 'n2' }), type: 'host.changed' }],
    ]);
    expect(nameSince(renamed, host.hostId, 'Node')?.position).toBe(2);
  });
});

describe('the invites', () => {
  const invited: InviteFact = {
    type: 'invite.created',
    data: { username: 'joe', purpose: 'invite', expiresAt: at, ttlMs: 60_000 },
  };
  it('are there until accepted or revoked', () => {
    const open = project(invitesView, [['invite-h1', invited]]);
    expect(findInvite(open, 'h1')?.state.username).toBe('joe');
    expect(findInvite(open, 'h2')).toBe(undefined);
    for (const end of [
      { type: 'invite.accepted', data: {} },
      { type: 'invite.revoked', data: { reason: 'replaced' } },
    ])
      expect(
        project(invitesView, [
          ['invite-h1', invited],
          ['invite-h1', end],
        ]).known.size,
      ).toBe(0);
  });
});

describe('any projection', () => {
  const all = [usersView, rolesView, authoritiesView, hostsView, invitesView, clusterView] as const;
  it('ignores a fact of a newer version, and of other streams', () => {
    for (const projection of all)
      for (const stream of [
        'user-x',
        'role-x',
        'authority-user',
        'host-x',
        'invite-x',
        'cluster-main',
        'future-x',
      ] as const) {
        const newer = recordedAt(1, stream, { type: 'something.new', data: {} });
        expect(projection.apply(projection.initial as never, newer)).toBe(projection.initial);
      }
  });
});

import { BehaviorSubject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import future from '../domain/fixtures/future.json' with { type: 'json' };
import recordedFacts from '../domain/fixtures/facts.json' with { type: 'json' };
import { adminRole } from '../domain/preset-roles.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import { authoritiesView, trustedOf } from './authorities.ts';
import { clusterView } from './cluster.ts';
import { configurationView } from './configuration.ts';
import { findHost, hostsView, rolesOfHost } from './hosts.ts';
import { identitiesView } from './identities.ts';
import { findInvite, invitesView } from './invites.ts';
import { lockOn, locksView } from './locks.ts';
import { presenceOf, presenceViewBy } from './presence.ts';
import { requestsView } from './requests.ts';
import { lookUpRoles, rolesView, unreadableRoles } from './roles.ts';
import { supersededView } from './superseded.ts';
import { recordedAt } from './testing.ts';
import { createdTokens, joinsOf, tokensView } from './tokens.ts';
import { unreadableOf, unreadableText, type ReadingViews, watchUnreadable } from './unreadable.ts';
import { userStandingOf } from './user-life.ts';
import { getIn } from './table.ts';
import { findUser, usersView } from './users.ts';
import type { Projection } from './view.ts';

const events = future as unknown as readonly Recorded[];
const now = '2027-01-01T12:00:00.000Z';
const presenceView = presenceViewBy({ now: () => now, monotonic: () => 0 });

/** Through a snapshot as well. */
function fold<S>(projection: Projection<S>, more: readonly (readonly [StreamName, Fact])[] = []): S {
  const later = more.map(([stream, fact], i) => ({ ...recordedAt(1000 + i, stream, fact) }));
  const state = [...events, ...later].reduce((at, event) => projection.apply(at, event), projection.initial);
  return projection.decode(JSON.parse(JSON.stringify(projection.encode(state))));
}
const host = (n: number): string => `00000000-0000-4000-8000-0000000000a${n}`;
const role = (name: string): Fact => ({ type: 'role.updated', data: { role: { ...adminRole, name } } });
const standing = (name: string, ...more: Fact[]): string =>
  userStandingOf(
    fold(
      usersView,
      more.map((fact) => [`user-${name}`, fact] as const),
    ),
    {
      username: name,
      lifeId: '',
      validFromMs: Date.parse(now),
    },
  ).status;

describe('facts of the future', () => {
  it('are folded by every view, with what was recorded so far', () => {
    const all = [...(recordedFacts as unknown as readonly Recorded[]), ...events];
    for (const projection of [
      authoritiesView,
      clusterView,
      configurationView,
      hostsView,
      identitiesView,
      invitesView,
      locksView,
      presenceView,
      requestsView,
      rolesView,
      supersededView,
      tokensView,
      usersView,
    ] as readonly Projection<unknown>[])
      expect(() => all.reduce((at, event) => projection.apply(at, event), projection.initial)).not.toThrow();
  });

  it('lock as far as this release can read whom, without an end', () => {
    const locks = fold(locksView);
    const message = (subject: Parameters<typeof lockOn>[1], at = now): string | undefined =>
      lockOn(locks, subject, at)?.message;
    expect(message({ user: 'nightly' })).toBe('only at night');
    expect(message({ roles: ['ops'] }, '2999-01-01T00:00:00.000Z')).toBe('');
    expect(message({ user: 'd1', roles: ['d1'], login: 'd1', node: ['d1'] })).toBeUndefined();
    const unread = unreadableOf({ locks: { state: () => locks } }).map(({ kind, name }) => [kind, name]);
    expect(unread.sort()).toEqual(['l1', 'l2', 'l3'].map((name) => ['lock', name]));
    const ended = fold(locksView, [['lock-l1', { type: 'lock.ended', data: { reason: 'unlocked' } }]]);
    expect(lockOn(ended, { user: 'nightly' }, now)).toBeUndefined();
  });

  it('make a role unreadable where they might deny, and leave out what cannot', () => {
    const roles = fold(rolesView);
    expect(lookUpRoles(roles, ['described'])).toMatchObject({
      status: 'found',
      roles: [expect.not.objectContaining({ madeFor: expect.anything() as unknown })],
    });
    for (const name of ['limited', 'star', 'careful']) {
      const found = lookUpRoles(roles, ['described', name]);
      expect(found).toEqual({ status: 'missing', names: [name], unreadable: [name] });
      expect(found.status === 'missing' && unreadableRoles(found)).toContain(`cannot read the role ${name}`);
    }
  });

  it('end for a role with its next update, or with it', () => {
    const updated = fold(rolesView, [
      ['role-limited', role('limited')],
      ['role-careful', { type: 'role.deleted', data: { name: 'careful' } }],
    ]);
    expect(lookUpRoles(updated, ['limited']).status).toBe('found');
    expect(lookUpRoles(updated, ['careful'])).toMatchObject({ status: 'missing', unreadable: [] });
    const frozen: Fact = { type: 'role.frozen', data: { critical: ['freeze'] } };
    const still = fold(rolesView, [
      ['role-limited', frozen],
      ['role-limited', role('limited')],
    ]);
    expect(lookUpRoles(still, ['limited'])).toMatchObject({ status: 'missing', unreadable: ['limited'] });
  });

  it('shut out a user of whom they may say that it is shut out, and nobody else', () => {
    expect(['amy', 'bob', 'cat', 'dan'].map((name) => standing(name))).toEqual([
      'present',
      'unreadable',
      'unreadable',
      'absent',
    ]);
    expect(findUser(fold(usersView), 'bob')).toBeUndefined();
    expect(standing('bob', { type: 'user.roles_changed', data: { roles: ['x'] } })).toBe('unreadable');
    expect(standing('bob', { type: 'user.unlocked', data: {} })).toBe('present');
    expect(standing('cat', { type: 'user.unlocked', data: {} })).toBe('unreadable');
    expect(standing('cat', { type: 'user.deleted', data: {} })).toBe('absent');
    const roles: Fact = { type: 'user.roles_changed', data: { roles: ['later'] } };
    const unlocked = fold(usersView, [
      ['user-bob', roles],
      ['user-bob', { type: 'user.unlocked', data: {} }],
    ]);
    expect(findUser(unlocked, 'bob')?.state.roles).toEqual(['later']);
  });

  it('hide a host that cannot be read, and not one that has another kind beside it', () => {
    const hosts = fold(hostsView);
    expect([1, 2, 3].map((n) => rolesOfHost(hosts, host(n)))).toEqual([['Node'], [], []]);
    const { host: again } = events.find(({ fact }) => fact.type === 'host.changed')?.fact.data as {
      host: object;
    };
    const changed = fold(hostsView, [
      [`host-${host(2)}`, { type: 'host.changed', data: { host: { ...again, labels: { env: 'dev' } } } }],
      [`host-${host(3)}`, { type: 'host.left', data: { role: 'Proxy', reason: '' } }],
    ]);
    expect(findHost(changed, host(2), 'Node')?.labels).toEqual({ env: 'dev' });
    expect(rolesOfHost(changed, host(3))).toEqual([]);
    const alive = [1, 2].map(
      (n) => presenceOf(fold(presenceView), { hostId: host(n), role: 'Node' }, 0).status,
    );
    expect(alive).toEqual(['alive', 'never_seen']);
  });

  it('admit nobody by a token or a link that cannot be read', () => {
    const tokens = fold(tokensView);
    expect(createdTokens(tokens).map(([hash]) => hash)).toEqual(['t2']);
    expect(joinsOf(tokens, { hash: 't2', tokenId: 't2' })).toBe(1);
    const invites = fold(invitesView);
    expect(['i1', 'i2'].map((hash) => findInvite(invites, hash))).toEqual([undefined, undefined]);
  });

  it('take trust from an authority that cannot be read, and leave the cluster its name', () => {
    const authorities = fold(authoritiesView);
    expect([trustedOf(authorities, 'user').length, trustedOf(authorities, 'host')]).toEqual([1, []]);
    expect(fold(clusterView)).toMatchObject({ clusterName: 'example', secondFactor: 'webauthn' });
    expect(fold(configurationView).standing).toEqual({ 'auth_service.x': '1' });
  });
});

describe('what cannot be read', () => {
  const viewOf = <S>(state: S): { state: () => S; changes: BehaviorSubject<S> } => {
    const changes = new BehaviorSubject(state);
    return { changes, state: () => changes.value };
  };
  const views = {
    roles: viewOf(fold(rolesView)),
    users: viewOf(fold(usersView)),
    authorities: viewOf(fold(authoritiesView)),
    hosts: viewOf(fold(hostsView)),
    tokens: viewOf(fold(tokensView)),
    invites: viewOf(fold(invitesView)),
    cluster: viewOf(fold(clusterView)),
  } satisfies ReadingViews;

  it('is listed, of many the first few', () => {
    const names = unreadableOf(views).map(({ kind, name }) => `${kind} ${name}`);
    expect(names.sort()).toEqual([
      'authority host',
      `host ${host(2)}`,
      `host ${host(3)}`,
      'invite i2',
      'role careful',
      'role limited',
      'role star',
      'token t1',
      'user bob',
      'user cat',
    ]);
    expect(unreadableText(views)).toMatch(
      /authority host \(authority\.keys_withdrawn, event \d+\).* and 5 more/,
    );
    expect(unreadableText({ roles: viewOf(rolesView.initial) })).toBeUndefined();
  });

  it('is reported once each, and again when it could be read in between', () => {
    const roles = viewOf(rolesView.initial);
    const told: string[] = [];
    const watch = watchUnreadable({ roles }, ({ kind, name, why }) => told.push(`${kind} ${name}: ${why}`));
    roles.changes.next(fold(rolesView));
    roles.changes.next(fold(rolesView, [['role-x', role('x')]]));
    expect(told).toHaveLength(3);
    expect(told.find((text) => text.includes('limited'))).toMatch(/data\.role\.deny: .*applications/);
    roles.changes.next(rolesView.initial);
    roles.changes.next(fold(rolesView));
    expect(told).toHaveLength(6);
    watch.close();
    roles.changes.next(rolesView.initial);
    expect(told).toHaveLength(6);
  });

  it('is none in the snapshot of a release that stopped at it', () => {
    const [earlier] = hostsView.earlier ?? [];
    const stored = { roles: {}, since: {}, leftOut: {} };
    const { known, unreadable } = hostsView.decode(earlier?.upcast([['h1', stored]]));
    expect([earlier?.name, getIn(known, 'h1'), unreadable.size]).toEqual(['hosts.2', stored, 0]);
  });

  it('is not taken from snapshots of releases that left out what this one reads', () => {
    expect([rolesView, usersView].map(({ name, earlier }) => [name, earlier])).toEqual([
      ['roles.4', undefined],
      ['users.6', undefined],
    ]);
  });
});

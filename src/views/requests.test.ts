import { describe, expect, it } from 'vitest';
import { hour, plusMs } from '../base/time.ts';
import type { AccessRequestFact } from '../domain/access-request.ts';
import { roleSpec } from '../domain/role-spec.ts';
import type { Fact, StreamName } from '../log/event.ts';
import { addedRoles, heldRequests } from './held-requests.ts';
import { expiredRequests, findRequest, requestsAt, requestsOf, requestsView } from './requests.ts';
import { rolesView } from './roles.ts';
import { project } from './testing.ts';
import { findUser, usersView } from './users.ts';

type Event = readonly [StreamName, Fact];

const at = '2026-01-01T12:00:00.000Z';
const expiresAt = plusMs(at, hour);
const role = (name: string, more: object = {}): Event => [
  `role-${name}`,
  {
    type: 'role.created',
    data: { role: roleSpec.parse({ name, options: {}, allow: {}, deny: {}, ...more }) },
  },
];
const user = (roles: string[] = ['dev']): Event => [
  'user-ann',
  { type: 'user.created', data: { username: 'ann', roles, traits: {} } },
];
const base: readonly Event[] = [
  role('dev', { request: { allow: { roles: ['dba', 'ops'] } } }),
  role('dba'),
  role('ops'),
  user(),
];
const lifeId = findUser(project(usersView, base), 'ann')?.life.id ?? '';
const common = { user: 'ann', lifeId, roles: ['dba'], annotations: {}, expiresAt };
const created: AccessRequestFact = { type: 'request.created', data: { ...common, reason: 'INC-1' } };
const resolved = (state: 'approved' | 'denied' = 'approved', more: object = {}): AccessRequestFact => ({
  type: 'request.resolved',
  data: { ...common, state, reason: 'ok', delegator: '', ...more },
});
const made = (...facts: Fact[]): readonly Event[] => facts.map((fact) => ['request-r1', fact] as const);

const held = (more: readonly Event[], now: string | undefined = at, ids = ['r1']): string[] => {
  const all = [...base, ...more];
  return heldRequests(
    { requests: project(requestsView, all), users: project(usersView, all), roles: project(rolesView, all) },
    { username: 'ann', lifeId, accessRequests: ids },
    now,
  ).flatMap(({ roles }) => roles.map(({ name }) => name));
};
const approved = made(created, resolved());

describe('access requests', () => {
  it('are there until they are removed, and listed until they expire', () => {
    const requests = project(requestsView, approved);
    expect(findRequest(requests, 'r1')).toMatchObject({
      ...{ id: 'r1', status: 'approved', user: 'ann', roles: ['dba'] },
      request: { reason: 'INC-1' },
      resolution: { reason: 'ok' },
    });
    expect(requestsAt(requests, at)).toHaveLength(1);
    expect(requestsAt(requests, expiresAt)).toEqual([]);
    expect(expiredRequests(requests, at)).toEqual([]);
    expect(expiredRequests(requests, expiresAt)).toEqual(['r1']);
    const ended: Fact = { type: 'request.ended', data: { reason: 'removed' } };
    expect(findRequest(project(requestsView, [...approved, ...made(ended)]), 'r1')).toBeUndefined();
  });
  it('are listed for one user as for all, oldest first', () => {
    const event = (id: string, name: string, when: string): readonly [StreamName, Fact, string] => [
      `request-${id}`,
      { type: 'request.created', data: { ...created.data, user: name } },
      when,
    ];
    const later = plusMs(at, 1000);
    const requests = project(requestsView, [
      event('r3', 'ann', at),
      event('r1', 'ann', later),
      event('r4', 'bob', at),
      event('r2', 'ann', at),
    ]);
    const idsOf = (name: string, now: string) => requestsOf(requests, name, now).map(({ id }) => id);
    expect(idsOf('ann', at)).toEqual(['r2', 'r3', 'r1']);
    expect(idsOf('bob', at)).toEqual(['r4']);
    expect(idsOf('eve', at)).toEqual([]);
    expect(idsOf('ann', expiresAt)).toEqual([]);
  });
  it('survive a snapshot', () => {
    const requests = project(requestsView, approved);
    const stored = JSON.parse(JSON.stringify(requestsView.encode(requests))) as unknown;
    expect(findRequest(requestsView.decode(stored), 'r1')).toEqual(findRequest(requests, 'r1'));
  });
  it('of others stay where one ends', () => {
    const other: Event = ['request-r2', { type: 'request.created', data: { ...created.data, user: 'bob' } }];
    const deleted: Event = ['user-ann', { type: 'user.deleted', data: {} }];
    const left = project(requestsView, [...approved, other, deleted]);
    expect(requestsAt(left, at).map(({ id }) => id)).toEqual(['r2']);
    expect(left.byKey.size).toBe(2);
    const ended: Event = ['request-r2', { type: 'request.ended', data: { reason: 'removed' } }];
    expect(project(requestsView, [...approved, other, deleted, ended]).byKey.size).toBe(0);
  });
  it('are approved for readers who see only that', () => {
    expect(held(made(resolved()))).toEqual(['dba']);
  });
});

describe('a request that a certificate names counts', () => {
  it('when it is approved, for its user, until it expires', () => {
    expect(held(approved)).toEqual(['dba']);
    expect(held(approved, at, ['r2'])).toEqual([]);
    expect(held(made(created))).toEqual([]);
    expect(held(made(created, resolved('denied')))).toEqual([]);
    expect(held(made(created, resolved('approved', { user: 'bob' })))).toEqual([]);
    expect(held(made(created, resolved('approved', { lifeId: 'earlier' })))).toEqual([]);
    expect(held(approved, expiresAt)).toEqual([]);
    // Who is connected stays until the certificate ends.
    expect(held(approved, undefined)).toEqual(['dba']);
  });
  it('while the roles of the user let it be requested', () => {
    expect(
      held([...approved, ['user-ann', { type: 'user.roles_changed', data: { roles: ['ops'] } }]]),
    ).toEqual([]);
    expect(held([...approved, ['user-ann', { type: 'user.roles_changed', data: { roles: ['x'] } }]])).toEqual(
      [],
    );
    const denying = roleSpec.parse({
      ...{ name: 'dev', options: {}, allow: {}, deny: {} },
      request: { allow: { roles: ['*'] }, deny: { roles: ['dba'] } },
    });
    expect(held([...approved, ['role-dev', { type: 'role.updated', data: { role: denying } }]])).toEqual([]);
  });
  it('while its roles are there: one that is made again is another one', () => {
    const gone: Event = ['role-dba', { type: 'role.deleted', data: { name: 'dba' } }];
    expect(held([...approved, gone])).toEqual([]);
    expect(held([...approved, gone, role('dba')])).toEqual([]);
    expect(held([...approved, ['role-ops', { type: 'role.deleted', data: { name: 'ops' } }]])).toEqual([
      'dba',
    ]);
  });
  it('until its user is deleted or locked: what comes later does not bring it back', () => {
    const deleted: Event = ['user-ann', { type: 'user.deleted', data: {} }];
    expect(held([...approved, deleted, user()])).toEqual([]);
    const locked = (kind: string, name: string): Event => [
      'lock-l1',
      { type: 'lock.created', data: { target: { kind, name }, message: '' } },
    ];
    const unlocked: Event = ['lock-l1', { type: 'lock.ended', data: { reason: 'unlocked' } }];
    expect(held([...approved, locked('user', 'ann'), unlocked])).toEqual([]);
    expect(held([...approved, locked('user', 'bob')])).toEqual(['dba']);
    // A lock of a role keeps out as long as it lasts.
    expect(held([...approved, locked('role', 'dba'), unlocked])).toEqual(['dba']);
  });
  it('never where a newer release wrote what this one cannot read', () => {
    const foreign = resolved('approved', { state: 'half-approved' });
    expect(held(made(created, foreign))).toEqual([]);
    expect(held(made(created, resolved('approved', { critical: ['x'] })))).toEqual([]);
  });
  it('for roles that the user does not have already', () => {
    const all = [...base, ...approved];
    const roles = project(rolesView, all);
    const states = { requests: project(requestsView, all), users: project(usersView, all), roles };
    const found = heldRequests(states, { username: 'ann', lifeId, accessRequests: ['r1', 'r1'] }, at);
    const [one] = found[0]?.roles ?? [];
    expect(addedRoles(found, []).map(({ name }) => name)).toEqual(['dba']);
    expect(addedRoles(found, one ? [one] : [])).toEqual([]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, plusMs } from '../base/time.ts';
import {
  accessRequest,
  type AccessRequestCommand,
  type AccessRequestFact,
  requestLimits,
} from './access-request.ts';
import { roleSpec, type RoleSpec } from './role-spec.ts';
import { expectReplays, scenario } from './testing.ts';

const now = '2026-01-01T12:00:00.000Z';
const role = (name: string, more: object = {}): RoleSpec =>
  roleSpec.parse({ name, options: {}, allow: {}, deny: {}, ...more });
const asks = role('dev', { request: { allow: { roles: ['dba', 'ops'], annotations: { team: ['eu'] } } } });
const requester = { roles: [asks], traits: {} };
const [dba, ops] = [role('dba'), role('ops', { options: { maxSessionTtlSeconds: 7200 } })];

type Of<T extends AccessRequestCommand['type']> = Extract<AccessRequestCommand, { type: T }>;
const create = (wish: Partial<Of<'create-request'>> = {}): AccessRequestCommand => ({
  ...{ type: 'create-request', now, user: 'ann', lifeId: 'life', roles: ['dba', 'ops'], reason: 'INC-1' },
  ...{ requester, ...wish },
});
const resolve = (wish: Partial<Of<'resolve-request'>> = {}): AccessRequestCommand => ({
  ...{ type: 'resolve-request', now, state: 'approved', by: 'boss', reason: 'ok', delegator: '' },
  ...{ annotations: {}, requester, wanted: [dba, ops], ...wish },
});
const remove: AccessRequestCommand = { type: 'end-request', reason: 'removed' };

const created: AccessRequestFact = {
  type: 'request.created',
  data: {
    ...{ user: 'ann', lifeId: 'life', roles: ['dba', 'ops'], reason: 'INC-1' },
    ...{ annotations: { team: ['eu'] }, expiresAt: plusMs(now, hour) },
  },
};
const resolved = (data: object = {}): AccessRequestFact => ({
  type: 'request.resolved',
  data: {
    ...{ state: 'approved', user: 'ann', lifeId: 'life', roles: ['dba', 'ops'], reason: 'ok' },
    ...{ delegator: '', annotations: {}, expiresAt: plusMs(now, 2 * hour), ...data },
  },
});
const ended: AccessRequestFact = { type: 'request.ended', data: { reason: 'removed' } };
const given = scenario(accessRequest);

describe('an access request', () => {
  it('has roles, a reason, what the roles of the user add, and an hour to be resolved', () => {
    given().when(create()).then(created);
    given()
      .when(create({ roles: ['dba', 'ops', 'dba'] }))
      .then(created);
    given(created).when(create()).refused('already_exists');
  });
  it('is for roles that the roles of the user let them request', () => {
    given()
      .when(create({ roles: ['dba', 'root'] }))
      .refused('access_denied', 'user "ann" may not request the role "root"');
    given()
      .when(create({ roles: [] }))
      .refused('bad_request');
    given()
      .when(create({ roles: [''] }))
      .refused('bad_request');
    given()
      .when(create({ reason: 'a\nb' }))
      .refused('bad_request', 'reason: one line');
  });
  it('is approved until the strictest role ends it, at most for thirty hours', () => {
    given(created).when(resolve()).then(resolved());
    const only = resolve({ roles: ['dba'] });
    given(created)
      .when(only)
      .then(resolved({ roles: ['dba'], expiresAt: plusMs(now, requestLimits.accessMs) }));
  });
  it('is approved by somebody else, for no more than was requested', () => {
    given(created)
      .when(resolve({ by: 'ann' }))
      .refused('access_denied', 'nobody approves their own');
    given(created)
      .when(resolve({ by: undefined }))
      .then(resolved());
    given(created)
      .when(resolve({ roles: ['root'] }))
      .refused('bad_request', '"root" was not requested');
    given(created)
      .when(resolve({ roles: [] }))
      .refused('bad_request');
  });
  it('is denied by anybody who may resolve, and shown until it would have expired', () => {
    const expiresAt = plusMs(now, hour);
    given(created)
      .when(resolve({ state: 'denied', by: 'ann' }))
      .then(resolved({ state: 'denied', expiresAt }));
  });
  it('is approved by what the roles are then: for those that are there, and may be requested', () => {
    given(created)
      .when(resolve({ wanted: [dba] }))
      .refused('bad_request', 'role "ops" is not found');
    given(created)
      .when(resolve({ wanted: [dba], roles: ['dba'] }))
      .then(resolved({ roles: ['dba'], expiresAt: plusMs(now, requestLimits.accessMs) }));
    const less = { roles: [role('dev')], traits: {} };
    given(created)
      .when(resolve({ requester: less }))
      .refused('access_denied', 'may not request');
    given(created)
      .when(resolve({ requester: less, state: 'denied' }))
      .then(resolved({ state: 'denied', expiresAt: plusMs(now, hour) }));
  });
  it('is resolved once, before it expires', () => {
    const late = plusMs(now, hour);
    given(created)
      .when(resolve({ now: late }))
      .refused('not_found', 'it has expired');
    given(created, resolved()).when(resolve()).refused('bad_request', 'was approved before');
    given(created, resolved({ state: 'denied' }))
      .when(resolve())
      .refused('bad_request', 'was denied before');
    given().when(resolve()).refused('not_found');
    given(created, ended).when(resolve()).refused('not_found');
  });
  it('is removed once, and is never another one afterwards', () => {
    given(created, resolved()).when(remove).then(ended);
    given(created, ended).when(remove).refused('not_found');
    given(created, ended).when({ type: 'end-request', reason: 'expired' }).then();
    given(created, ended).when(create()).refused('already_exists');
    given(created, ended, resolved()).when(resolve()).refused('not_found');
  });
  it('takes texts of one line alone', () => {
    given(created)
      .when(resolve({ delegator: '\u202e' }))
      .refused('bad_request', 'delegator:');
    given(created)
      .when(resolve({ annotations: { a: ['b\n'] } }))
      .refused('bad_request', 'annotation "a"');
    given(created)
      .when(resolve({ annotations: { a: new Array<string>(101).fill('b') } }))
      .refused('bad_request', 'at most 100');
  });

  it('grants nothing but by an approval of another person, whatever is done', () => {
    const names = fc.subarray(['dba', 'ops', 'root']);
    const command: fc.Arbitrary<AccessRequestCommand> = fc.oneof(
      fc.record({ roles: names }).map((wish) => create(wish)),
      fc
        .record({
          by: fc.constantFrom('ann', 'boss', undefined),
          state: fc.constantFrom('approved' as const, 'denied' as const),
          roles: fc.option(names, { nil: undefined }),
          now: fc.constantFrom(now, plusMs(now, hour)),
        })
        .map(({ roles, ...wish }) => resolve({ ...wish, ...(roles && { roles }) })),
      fc.constantFrom(remove, { type: 'end-request', reason: 'expired' } as const),
    );
    expectReplays(accessRequest, command);
    fc.assert(
      fc.property(fc.array(command, { maxLength: 8 }), (commands) => {
        let state = accessRequest.initial;
        for (const one of commands) {
          let facts: readonly AccessRequestFact[] = [];
          try {
            facts = accessRequest.decide(state, one);
          } catch {
            continue;
          }
          for (const fact of facts) {
            if (fact.type === 'request.resolved' && fact.data.state === 'approved') {
              expect(one).toMatchObject({ type: 'resolve-request', state: 'approved', now });
              expect(one.type === 'resolve-request' && one.by).not.toBe('ann');
              expect(state.status).toBe('pending');
              expect(['dba', 'ops']).toEqual(expect.arrayContaining(fact.data.roles));
              expect(fact.data.expiresAt <= plusMs(now, requestLimits.accessMs)).toBe(true);
            }
            state = accessRequest.evolve(state, fact);
          }
        }
      }),
    );
  });
});

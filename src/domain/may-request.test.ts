import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { annotationsOf, mayRequest, type Requester, requestStrategy } from './may-request.ts';
import { checkRoleRequest, roleRequest } from './role-request.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';
import { storedRoleSpec } from './stored-role.ts';

const role = (request: object, options: object = {}): RoleSpec =>
  roleSpec.parse({ name: 'x', options, allow: {}, deny: {}, request });
const person = (requests: readonly object[], traits: Requester['traits'] = {}): Requester => ({
  roles: requests.map((one) => role(one)),
  traits,
});
const allows = (...roles: string[]): object => ({ allow: { roles } });
const denies = (...roles: string[]): object => ({ deny: { roles } });

describe('what may be requested', () => {
  it.each<[string, Requester, string, boolean]>([
    ['nothing, without a word of it', person([{}]), 'dba', false],
    ['nothing, without a role', person([]), 'dba', false],
    ['a role by its name', person([allows('dba')]), 'dba', true],
    ['no other', person([allows('dba')]), 'dba2', false],
    ['by a star', person([allows('db*')]), 'dba', true],
    ['by an expression', person([allows('^db[a-c]$')]), 'dba', true],
    ['by an expression, whole', person([allows('^db[a-c]$')]), 'xdba', false],
    ['not what one role denies', person([allows('*'), denies('dba')]), 'dba', false],
    ['the rest of it', person([allows('*'), denies('dba')]), 'ops', true],
  ])('%s', (_what, requester, name, expected) => {
    expect(mayRequest(requester, name)).toBe(expected);
  });

  it('follows the traits of the person', () => {
    const claims = { allow: { claimsToRoles: [{ claim: 'team', value: 'db-*', roles: ['dba'] }] } };
    expect(mayRequest(person([claims], { team: ['web', 'db-eu'] }), 'dba')).toBe(true);
    expect(mayRequest(person([claims], { team: ['web'] }), 'dba')).toBe(false);
    expect(mayRequest(person([claims], {}), 'dba')).toBe(false);
    expect(
      mayRequest(person([claims], Object.create({ team: ['db-eu'] }) as Requester['traits']), 'dba'),
    ).toBe(false);
    const denied = { deny: { claimsToRoles: [{ claim: 'team', value: '*', roles: ['dba'] }] } };
    expect(mayRequest(person([allows('*'), denied], { team: ['x'] }), 'dba')).toBe(false);
  });

  it('is never more with a role that denies, in whatever order', () => {
    const name = fc.constantFrom('a', 'b', 'ab', 'ba');
    const pattern = fc.constantFrom('a', 'b', 'a*', '*', '^a|b$', '^a.*$');
    const one = fc.record({
      allow: fc.record({ roles: fc.array(pattern, { maxLength: 3 }) }),
      deny: fc.record({ roles: fc.array(pattern, { maxLength: 1 }) }),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 4 }), pattern, name, (requests, denied, asked) => {
        const before = mayRequest(person(requests), asked);
        expect(mayRequest(person([...requests].reverse()), asked)).toBe(before);
        if (!before) expect(mayRequest(person([...requests, denies(denied)]), asked)).toBe(false);
        if (mayRequest(person([allows(denied)]), asked))
          expect(mayRequest(person([...requests, denies(denied)]), asked)).toBe(false);
      }),
    );
  });

  it('is nothing where another release wrote what this one cannot read', () => {
    const stored = (request: object): Requester => ({
      roles: [storedRoleSpec.parse({ name: 'x', options: {}, allow: {}, deny: {}, request })],
      traits: {},
    });
    expect(mayRequest(stored({ allow: { roles: ['dba'], thresholds: [1] } }), 'dba')).toBe(false);
    expect(mayRequest(stored(allows('dba')), 'dba')).toBe(true);
    // A pattern of another kind: it may deny, and does not allow.
    expect(mayRequest(stored({ ...allows('*'), ...denies('^(?<x>$') }), 'dba')).toBe(false);
    expect(mayRequest(stored(allows('^(?<x>$')), 'dba')).toBe(false);
  });

  it.each<[object, RegExp]>([
    [allows(''), /^allow\.request\.roles: an empty text/],
    [allows('^($'), /^allow\.request\.roles: /],
    [denies('team-$1'), /^deny\.request\.roles: .*\(\$1\)/],
    [
      { allow: { claimsToRoles: [{ claim: '', value: 'x', roles: ['y'] }] } },
      /^allow\.request\.claims_to_roles\[0\]: the claim/,
    ],
    [
      { allow: { claimsToRoles: [{ claim: 'x', value: 'x', roles: [] }] } },
      /^allow\.request\.claims_to_roles\[0\]: it has no role/,
    ],
    [{ allow: { annotations: { x: ['{{external.y}}'] } } }, /^allow\.request\.annotations: templates/],
  ])('refuses %j with its place', (request, why) => {
    expect(() => {
      checkRoleRequest(roleRequest.parse(request));
    }).toThrow(why);
  });
});

describe('what roles add to requests', () => {
  it('are the annotations of all roles, without those that one denies', () => {
    const roles = [
      role({ allow: { annotations: { team: ['a', 'b'], page: ['yes'] } } }),
      role({ allow: { annotations: { team: ['b', 'c'] } }, deny: { annotations: { page: ['yes'] } } }),
    ];
    expect(annotationsOf({ roles })).toEqual({ team: ['a', 'b', 'c'] });
  });
  it('are a request by itself where one role says so, and the strictest of them counts', () => {
    const wants = (requestAccess: string, requestPrompt?: string): RoleSpec =>
      role({}, { requestAccess, requestPrompt });
    expect(requestStrategy([role({})])).toEqual({ access: 'optional', prompt: '' });
    expect(requestStrategy([wants('always'), role({})])).toEqual({ access: 'always', prompt: '' });
    expect(requestStrategy([wants('always', ''), wants('reason', 'Ticket?')])).toEqual({
      access: 'reason',
      prompt: 'Ticket?',
    });
  });
});

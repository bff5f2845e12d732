import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Joining, joinModesOf, mayJoinByRule, readJoinMode } from './join-session.ts';
import { joinModes, nothingToJoin, type RoleJoining } from './role-joining.ts';

const usual: Joining = { roles: [], isOwner: false, mayLogIn: false, ownerRoles: ['dev'] };
const rule = (modes: RoleJoining['allow'][number]['modes'], ...roles: string[]) => ({
  name: '',
  roles,
  modes,
});
const allowing = (...allow: RoleJoining['allow']) => ({ joining: { allow, deny: [] } });
const denying = (...deny: RoleJoining['deny']) => ({ joining: { allow: [], deny } });
const modesOf = (some: Partial<Joining>): string[] => [...joinModesOf({ ...usual, ...some })].sort();

describe('a session can be joined', () => {
  it('by nobody whom nothing allows it', () => {
    expect(modesOf({ roles: [{}] })).toEqual([]);
  });
  it.each([{ isOwner: true }, { mayLogIn: true }])('as under 4.4 where %j', (some) => {
    expect(modesOf(some)).toEqual(['observer', 'peer']);
  });
  it('in the modes that rules give for a role of its owner, by name or pattern', () => {
    const roles = [allowing(rule(['moderator'], 'ops'), rule(['observer'], 'dev*'))];
    expect(modesOf({ roles })).toEqual(['observer']);
    expect(modesOf({ roles, ownerRoles: ['x', 'ops'] })).toEqual(['moderator']);
    expect(modesOf({ roles, ownerRoles: ['dev2', 'ops'] })).toEqual(['moderator', 'observer']);
    expect(modesOf({ roles, ownerRoles: [] })).toEqual([]);
  });
  it('by nobody whom another role denies it, whatever allows it', () => {
    const roles = [allowing(rule([...joinModes], '*')), denying(rule(['peer'], '^d.v$'))];
    expect(modesOf({ roles, mayLogIn: true, isOwner: true })).toEqual(['moderator', 'observer']);
    expect(modesOf({ roles: [...roles, { joining: nothingToJoin }], isOwner: true })).toEqual([]);
  });
  it('in no mode more when a denial is added, nor in one less when something is allowed', () => {
    const rules = fc.array(
      fc.record({
        name: fc.constant(''),
        roles: fc.subarray(['dev', 'ops', '*', '^.ev$'], { minLength: 1 }),
        modes: fc.subarray([...joinModes], { minLength: 1 }),
      }),
      { maxLength: 3 },
    );
    const role = fc.record({ joining: fc.record({ allow: rules, deny: rules }) });
    const joining = fc.record({
      roles: fc.array(role, { maxLength: 3 }),
      isOwner: fc.boolean(),
      mayLogIn: fc.boolean(),
      ownerRoles: fc.subarray(['dev', 'ops', 'lead']),
    });
    fc.assert(
      fc.property(joining, rules, (one, more) => {
        const before = joinModesOf(one);
        const allowed = joinModesOf({ ...one, roles: [...one.roles, allowing(...more)] });
        const denied = joinModesOf({ ...one, roles: [...one.roles, denying(...more)] });
        expect([...before].every((mode) => allowed.has(mode))).toBe(true);
        expect([...denied].every((mode) => before.has(mode))).toBe(true);
      }),
    );
  });
});

it('a connection for joining alone is worth it where a rule allows any', () => {
  expect(mayJoinByRule([{}, denying(rule(['peer'], '*'))])).toBe(false);
  expect(mayJoinByRule([{}, allowing(rule(['peer'], '*'))])).toBe(true);
});

it('a mode is read as it is written; without one somebody is a peer', () => {
  expect(
    [undefined, '', 'observer', 'peer', 'moderator', 'Peer', 'owner', 'constructor'].map(readJoinMode),
  ).toEqual([...['peer', 'peer', 'observer', 'peer', 'moderator'], ...[undefined, undefined, undefined]]);
});

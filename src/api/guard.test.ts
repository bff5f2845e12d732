import { describe, expect, it } from 'vitest';
import type { RoleRule } from '../domain/role-rule.ts';
import { roleSpec } from '../domain/role-spec.ts';
import type { RuleSubject } from '../domain/rule-access.ts';
import type { ResourceKind, RuleVerb } from '../domain/rule-subjects.ts';
import type { RuleResource } from '../domain/where/evaluate-where.ts';
import { admit, type Admitted, guard, may, whoOf } from './guard.ts';
import type { Caller, Who } from './operation.ts';

const alice = { kind: 'user', username: 'alice', roles: ['r'], address: '10.0.0.9:1' } as const;
const operator: Caller = { ...alice, administers: true };
const machine = (role: 'Admin' | 'Proxy'): Caller => ({ kind: 'host', hostId: 'h', role, address: 'a' });
const anyone: Caller = { kind: 'anyone', address: 'a' };
const allows = (run: () => unknown): boolean => {
  try {
    run();
    return true;
  } catch {
    return false;
  }
};

describe('who', () => {
  it('is an operator is a person with an identity that was signed for it, and no other', () => {
    expect([whoOf(operator), whoOf(alice), whoOf({ ...alice, administers: false })]).toEqual([
      'operator',
      'user',
      'user',
    ]);
  });
  it('an operator may what people may and what is open to operators, and nothing that is open to machines alone', () => {
    const rows: readonly Who[][] = [['user'], ['operator'], ['anyone'], ['Admin'], ['Proxy', 'Node', 'Auth']];
    const admitted = (caller: Caller) =>
      rows.map((who) =>
        allows(() => {
          admit(who, caller, 'it');
        }),
      );
    expect(admitted(operator)).toEqual([true, true, true, false, false]);
    expect(admitted(alice)).toEqual([true, false, true, false, false]);
  });
  it('is refused by name', () => {
    expect(() => {
      admit(['Admin'], alice, 'authority.export-keys');
    }).toThrow(
      /^authority\.export-keys is not open to user:alice: it works on the machine of an auth server alone$/,
    );
    expect(() => {
      admit(['Admin'], anyone, 'user.list');
    }).toThrow('user.list needs a client certificate');
  });
});

const rule = (resource: ResourceKind, verb: RuleVerb, where = ''): RoleRule => ({
  resources: [resource],
  verbs: [verb],
  where,
});
const rulesOf =
  (allow: RoleRule[], deny: RoleRule[] = []) =>
  (): RuleSubject => ({
    username: 'alice',
    traits: {},
    roles: [roleSpec.parse({ name: 'r', options: {}, allow: {}, deny: {}, rules: { allow, deny } })],
  });

type Row = Parameters<typeof guard>[0];
const plain: Row = { name: 'user.make', who: ['Admin', 'operator'], resource: 'user', verb: 'create' };
const about: Row = { ...plain, about: (input) => ({ kind: 'user', name: input as string }) };
const listed: Row = {
  name: 'user.list',
  who: ['Admin', 'operator'],
  resource: 'user',
  verb: 'list',
  sift: (output, sees) => (output as string[]).filter((name) => sees({ kind: 'user', name })),
};
const bob = 'equals(resource.metadata.name, "bob")';
const entered = (row: Row, caller: Caller, rules: ReturnType<typeof rulesOf>, input?: unknown): Admitted => {
  const admitted = guard(row, caller, rules);
  admitted.checkInput(input);
  return admitted;
};

describe('the rules of a person', () => {
  it('open what is open to operators, and nothing else', () => {
    const rules = rulesOf([rule('user', 'create')]);
    expect(allows(() => entered(plain, alice, rules))).toBe(true);
    expect(allows(() => entered({ ...plain, verb: 'delete' }, alice, rules))).toBe(false);
    expect(allows(() => entered({ ...plain, who: ['Admin'] }, alice, rules))).toBe(false);
    expect(allows(() => entered({ ...plain, who: ['Proxy'] }, alice, rules))).toBe(false);
    expect(allows(() => entered(plain, anyone, rules))).toBe(false);
    expect(allows(() => guard(plain, alice, undefined))).toBe(false);
  });
  it('are not asked of machines', () => {
    const none = (): RuleSubject => {
      throw new Error('asked');
    };
    expect(allows(() => entered(plain, machine('Admin'), none))).toBe(true);
    expect(allows(() => entered(plain, machine('Proxy'), none))).toBe(false);
  });
  it('refuse in the words of 4.4 and say which rule, or that none does', () => {
    expect(() => entered(plain, alice, rulesOf([]))).toThrow(
      'access denied to perform action "create" on "user": no rule of the roles of alice (r) allows it',
    );
    const denying = rulesOf([rule('user', 'create')], [rule('token', 'list'), rule('user', 'create', bob)]);
    expect(() => entered(about, alice, denying, 'bob')).toThrow('role "r" denies it (deny.rules[1])');
    expect(allows(() => entered(about, alice, denying, 'eve'))).toBe(true);
  });
  it('refuse an operator by what denies, and need nothing that allows', () => {
    expect(allows(() => entered(plain, operator, rulesOf([])))).toBe(true);
    expect(allows(() => entered(about, operator, rulesOf([], [rule('user', 'create', bob)]), 'bob'))).toBe(
      false,
    );
    expect(allows(() => entered(about, operator, rulesOf([], [rule('user', 'create', bob)]), 'eve'))).toBe(
      true,
    );
  });
  it('with a condition open the row, then what it is met for', () => {
    const rules = rulesOf([rule('user', 'create', bob)]);
    expect(allows(() => entered(about, alice, rules, 'bob'))).toBe(true);
    expect(allows(() => guard(about, alice, rules))).toBe(true);
    expect(allows(() => entered(about, alice, rules, 'eve'))).toBe(false);
    expect(allows(() => entered(plain, alice, rules))).toBe(false);
  });
  it('ask of each of several things', () => {
    const both: Row = {
      ...plain,
      about: (input) => (input as string[]).map((name): RuleResource => ({ kind: 'user', name })),
    };
    const rules = rulesOf([rule('user', 'create', bob)]);
    expect(allows(() => entered(both, alice, rules, ['bob']))).toBe(true);
    expect(allows(() => entered(both, alice, rules, ['bob', 'eve']))).toBe(false);
  });
  it('show of a list what they are met for', () => {
    const all = ['bob', 'eve'];
    expect(entered(listed, alice, rulesOf([rule('user', 'list', bob)])).sift(all)).toEqual(['bob']);
    expect(entered(listed, alice, rulesOf([rule('user', 'list')])).sift(all)).toEqual(all);
    expect(
      entered(listed, alice, rulesOf([rule('user', 'list')], [rule('user', 'list', bob)])).sift(all),
    ).toEqual(['eve']);
    expect(entered(listed, machine('Admin'), rulesOf([])).sift(all)).toEqual(all);
    expect(allows(() => entered(listed, alice, rulesOf([rule('token', 'list')])))).toBe(false);
  });
  it('are not asked of what people do for themselves', () => {
    const own: Row = { ...plain, who: ['user', 'operator', 'Admin'] };
    expect(allows(() => entered(own, alice, rulesOf([], [rule('user', 'create')])))).toBe(true);
  });
});

describe('what a caller may besides', () => {
  const call = (caller: Caller, allow: RoleRule[] = [], deny: RoleRule[] = []) => ({
    caller,
    rules: caller.kind === 'user' ? rulesOf(allow, deny)() : undefined,
  });
  it('is all for machines, what no rule denies for operators, what one allows for people', () => {
    const list = (given: ReturnType<typeof call>): boolean => may(given, 'list', { kind: 'node' });
    expect(list(call(machine('Proxy')))).toBe(true);
    expect(list(call(anyone))).toBe(false);
    expect(list(call(operator))).toBe(true);
    expect(list(call(operator, [], [rule('node', 'list')]))).toBe(false);
    expect(list(call(alice))).toBe(false);
    expect(list(call(alice, [rule('node', 'list')]))).toBe(true);
    expect(may({ caller: operator }, 'list', { kind: 'node' })).toBe(true);
    expect(may({ caller: alice }, 'list', { kind: 'node' })).toBe(false);
  });
});

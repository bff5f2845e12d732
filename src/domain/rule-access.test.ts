import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRules, type RoleRule } from './role-rule.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';
import { checkRuleAccess, mayBeAllowed, type RuleQuestion } from './rule-access.ts';
import { resourceKinds, ruleVerbs } from './rule-subjects.ts';
import { storedRoleSpec } from './stored-role.ts';

const rule = (resources: string[], verbs: string[], where = ''): RoleRule => ({ resources, verbs, where });
const roleWith = (name: string, allow: RoleRule[], deny: RoleRule[] = []): RoleSpec =>
  roleSpec.parse({ name, options: {}, allow: {}, deny: {}, rules: { allow, deny } });
const bare = roleSpec.parse({ name: 'bare', options: {}, allow: { logins: ['root'] }, deny: {} });
const subject = (...roles: RoleSpec[]) => ({ username: 'ann', traits: { team: ['red'] }, roles });
const ask = (verb: RuleQuestion['verb'], kind: string, name?: string): RuleQuestion => ({
  verb,
  resource: { kind, name },
});

describe('rules', () => {
  it('allow what one of them allows, and name it', () => {
    const roles = subject(
      bare,
      roleWith('dev', [rule(['token'], ['list']), rule(['user'], ['list', 'read'])]),
    );
    expect(checkRuleAccess(roles, ask('list', 'user'))).toEqual({
      status: 'allowed',
      by: { role: 'dev', side: 'allow', index: 1 },
    });
    expect(checkRuleAccess(roles, ask('delete', 'user'))).toEqual({ status: 'denied', by: undefined });
    expect(checkRuleAccess(roles, ask('list', 'node'))).toEqual({ status: 'denied', by: undefined });
    expect(checkRuleAccess(subject(), ask('list', 'user'))).toEqual({ status: 'denied', by: undefined });
  });
  it('that read include reading without secrets, and not the other way round', () => {
    const reads = subject(roleWith('a', [rule(['cert_authority'], ['read'])]));
    const without = subject(roleWith('a', [rule(['cert_authority'], ['readnosecrets'])]));
    expect(checkRuleAccess(reads, ask('readnosecrets', 'cert_authority')).status).toBe('allowed');
    expect(checkRuleAccess(without, ask('read', 'cert_authority')).status).toBe('denied');
  });
  it('of two roles do not add up: verb of one, resource of the other', () => {
    const roles = subject(roleWith('a', [rule(['user'], ['list'])]), roleWith('b', [rule(['token'], ['*'])]));
    expect(checkRuleAccess(roles, ask('update', 'user')).status).toBe('denied');
  });
  it('deny first, wherever they stand', () => {
    const roles = subject(
      roleWith('a', [rule(['*'], ['*'])]),
      roleWith('b', [], [rule(['user'], ['delete'])]),
    );
    expect(checkRuleAccess(roles, ask('delete', 'user'))).toEqual({
      status: 'denied',
      by: { role: 'b', side: 'deny', index: 0 },
    });
    expect(checkRuleAccess(roles, ask('update', 'user')).status).toBe('allowed');
  });

  const named = 'equals(resource.metadata.name, "db1")';
  it('with a condition allow only what it is met for, and may allow before that is known', () => {
    const roles = subject(roleWith('a', [rule(['node'], ['delete'], named)]));
    expect(checkRuleAccess(roles, ask('delete', 'node', 'db1')).status).toBe('allowed');
    expect(checkRuleAccess(roles, ask('delete', 'node', 'db2')).status).toBe('denied');
    expect(checkRuleAccess(roles, ask('delete', 'node')).status).toBe('denied');
    expect(mayBeAllowed(roles, ask('delete', 'node', 'db2'))).toBe(true);
    expect(mayBeAllowed(roles, ask('delete', 'user'))).toBe(false);
  });
  it('with a condition deny unless it is surely not met, also one that cannot be read', () => {
    const denying = (where: string) =>
      subject(roleWith('a', [rule(['node'], ['*'])], [rule(['node'], ['delete'], where)]));
    expect(checkRuleAccess(denying(named), ask('delete', 'node', 'db2')).status).toBe('allowed');
    expect(checkRuleAccess(denying(named), ask('delete', 'node', 'db1')).status).toBe('denied');
    expect(checkRuleAccess(denying(named), ask('delete', 'node')).status).toBe('denied');
    expect(mayBeAllowed(denying(named), ask('delete', 'node'))).toBe(true);
    expect(checkRuleAccess(denying('regex("new")'), ask('delete', 'node', 'db2')).status).toBe('denied');
    const allowing = subject(roleWith('a', [rule(['node'], ['delete'], 'regex("new")')]));
    expect(checkRuleAccess(allowing, ask('delete', 'node', 'db2')).status).toBe('denied');
  });
  it('that cannot be read whole deny everything, and leave servers alone', () => {
    const stored = storedRoleSpec.parse({
      ...bare,
      rules: { allow: [{ ...rule(['*'], ['*']), unless: 'monday' }], deny: [] },
    });
    expect(stored.allow).toEqual(bare.allow);
    const other = roleWith('other', [rule(['*'], ['*'])]);
    expect(checkRuleAccess(subject(stored, other), ask('list', 'node')).status).toBe('denied');
  });

  it.each<[RoleRule, RegExp]>([
    [rule(['usr'], ['list']), /allow\.rules\[0\]\.resources: "usr" is not a resource; did you mean user\?/],
    [rule(['user'], ['lst']), /allow\.rules\[0\]\.verbs: "lst" is not a verb; did you mean list\?/],
    [rule(['user'], ['list'], 'equals('), /allow\.rules\[0\]\.where: column 8/],
  ])('that have no meaning are refused with their place', (one, message) => {
    expect(() => {
      checkRules({ allow: [one], deny: [] });
    }).toThrow(message);
    expect(() => {
      checkRules({ allow: [], deny: [rule(['*'], ['*']), one] });
    }).toThrow(/deny\.rules\[1\]/);
  });
});

const someRule = fc.record({
  resources: fc.subarray([...resourceKinds.slice(0, 5), '*'], { minLength: 1 }),
  verbs: fc.subarray([...ruleVerbs, '*'], { minLength: 1 }),
  where: fc.constantFrom('', 'equals(user.metadata.name, "ann")', named(), 'not readable'),
});
function named(): string {
  return 'equals(resource.metadata.name, "db1")';
}
const someRole = fc
  .tuple(fc.array(someRule, { maxLength: 3 }), fc.array(someRule, { maxLength: 2 }))
  .map(([allow, deny]) => roleWith('r', allow, deny));
const question = fc
  .tuple(
    fc.constantFrom(...ruleVerbs),
    fc.constantFrom(...resourceKinds.slice(0, 5)),
    fc.constantFrom('db1', 'x', undefined),
  )
  .map(([verb, kind, name]) => ask(verb, kind, name));

describe('any rules', () => {
  it('deny what one role denies, whatever others allow', () => {
    fc.assert(
      fc.property(fc.array(someRole), question, (roles, asked) => {
        const denying = roleWith('no', [], [rule([asked.resource.kind], [asked.verb])]);
        for (const all of [
          [...roles, denying],
          [denying, ...roles],
        ])
          expect(checkRuleAccess(subject(...all), asked).status).toBe('denied');
      }),
    );
  });
  it('decide the same in any order of roles', () => {
    fc.assert(
      fc.property(fc.array(someRole), question, (roles, asked) => {
        const one = checkRuleAccess(subject(...roles), asked).status;
        expect(checkRuleAccess(subject(...roles.toReversed()), asked).status).toBe(one);
      }),
    );
  });
  it('allow nothing that was not to be expected before the resource was known', () => {
    fc.assert(
      fc.property(fc.array(someRole), question, (roles, asked) => {
        if (checkRuleAccess(subject(...roles), asked).status === 'allowed')
          expect(mayBeAllowed(subject(...roles), asked)).toBe(true);
      }),
    );
  });
  it('are decided, never thrown, whatever their conditions are', () => {
    const fragment = fc.constantFrom(
      ...['equals(', 'contains(', ')', ',', '"', "'", '&&', '||', '!', '(', 'user.spec.traits["', '"]'],
      ...[
        'resource.metadata.name',
        'resource.metadata.labels["constructor"]',
        'system.catype()',
        '\\',
        '__proto__',
      ],
    );
    const where = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragment, { maxLength: 12 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(where, where, question, (allowing, denying, asked) => {
        const any = (text: string): RoleRule => rule(['*'], ['*'], text);
        const allows = subject(roleWith('a', [any(allowing)]));
        const denies = subject(roleWith('a', [any('')], [any(denying)]));
        for (const one of [allows, denies]) {
          expect(checkRuleAccess(one, asked).status).toMatch(/^(allowed|denied)$/);
          expect(typeof mayBeAllowed(one, asked)).toBe('boolean');
        }
      }),
      { numRuns: 300 },
    );
  });
  it('of two roles allow only what one of them allows alone', () => {
    fc.assert(
      fc.property(someRole, someRole, question, (a, b, asked) => {
        if (checkRuleAccess(subject(a, b), asked).status === 'allowed')
          expect([a, b].map((one) => checkRuleAccess(subject(one), asked).status)).toContain('allowed');
      }),
    );
  });
});

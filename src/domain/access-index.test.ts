import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkServerAccess, type ServerAccess } from './access.ts';
import { expandLogin } from './login-template.ts';
import { matchesLabels } from './match-labels.ts';
import { type RoleSpec, roleSpec } from './role-spec.ts';
import { canSeeServer, loginsOn, subjectAccess } from './subject-access.ts';

/** The decision as it is written down: role by role, value by value, with nothing kept or looked up. */
function plainDecision({ roles, traits, login, labels }: ServerAccess): 'allowed' | 'denied' {
  const has = (entries: readonly string[]): boolean =>
    entries.some((entry) => expandLogin(entry, traits).includes(login));
  const denied = roles.some(({ deny }) => matchesLabels(deny.nodeLabels, labels, 'deny') || has(deny.logins));
  const granted = roles.some(
    ({ allow }) => has(allow.logins) && matchesLabels(allow.nodeLabels, labels, 'allow'),
  );
  return granted && !denied ? 'allowed' : 'denied';
}

const texts = fc.oneof(
  fc.constantFrom('prod', 'dev', 'dev-1', 'web-12', '', '*', '^x$', '__proto__', 'x🙂', '\ud83d'),
  fc.string({ unit: fc.constantFrom('a', 'b', '-', '1', '🙂', '\ud83d'), maxLength: 6 }),
);
const keys = fc.constantFrom('env', 'os', 'host', '*', 'constructor');
const values = fc.oneof(
  texts,
  fc.constantFrom(
    '*',
    'd*',
    '*-*',
    'w*b*',
    '^(dev|prod)$',
    '^web-\\d+$',
    '^.*$',
    '^$',
    '^($',
    '^',
    '$',
    '^(a|b)*-?1$',
  ),
  fc.string({ unit: fc.constantFrom('a', 'b', '*', '1', '🙂', '\ud83d'), maxLength: 5 }),
);
const entry = fc.constantFrom(
  'root',
  'dev',
  '{{internal.logins}}',
  'x-{{external.team}}',
  '{{nonsense}}',
  'no login',
);
const part = fc.record({
  logins: fc.array(entry, { maxLength: 3 }),
  nodeLabels: fc.oneof(
    fc.constant({ '*': ['*'] }),
    fc.dictionary(keys, fc.array(values, { maxLength: 3 }), { maxKeys: 3 }),
  ),
});
const nothing = fc.constant({ logins: [], nodeLabels: {} });
const role = fc
  .record({ name: fc.constantFrom('a', 'b', 'c', 'd'), allow: part, deny: fc.oneof(nothing, nothing, part) })
  .map((one): RoleSpec => roleSpec.parse({ options: {}, ...one }));
const labels = fc.dictionary(keys, texts, { maxKeys: 4 });
const traits = fc.record({
  logins: fc.array(fc.constantFrom('root', 'alice', 'not a login'), { maxLength: 2 }),
  team: fc.array(fc.constantFrom('red', 'blue'), { maxLength: 2 }),
});
const logins = ['root', 'dev', 'alice', 'x-red', 'x-blue', 'no login', 'nobody'];

describe('deciding with an index of labels', () => {
  it('is what the plain decision is: for each login and one server after another', () => {
    fc.assert(
      fc.property(
        fc.array(role, { maxLength: 6 }),
        traits,
        fc.array(labels, { minLength: 1, maxLength: 5 }),
        (roles, has, servers) => {
          const access = subjectAccess({ roles, traits: has });
          for (const on of servers) {
            const plain = logins.filter(
              (login) => plainDecision({ roles, traits: has, login, labels: on }) === 'allowed',
            );
            const checked = logins.filter(
              (login) => checkServerAccess({ roles, traits: has, login, labels: on }).status === 'allowed',
            );
            expect(checked).toEqual(plain);
            expect([...loginsOn(access, on).keys()]).toEqual([...plain].sort());
            expect(canSeeServer(access, on)).toBe(plain.length > 0);
          }
        },
      ),
      { numRuns: 1_500 },
    );
  });

  it('names the roles that allow a login, and is the same again', () => {
    const roles = ['a', 'b', 'c'].map((name) =>
      roleSpec.parse({
        ...{ name, options: {}, deny: {} },
        allow: { logins: ['root', name], nodeLabels: { env: [name === 'c' ? '^pro.$' : 'p*'] } },
      }),
    );
    const access = subjectAccess({ roles, traits: {} });
    for (let round = 0; round < 2; round++) {
      expect([...loginsOn(access, { env: 'prod' })]).toEqual([
        ['a', ['a']],
        ['b', ['b']],
        ['c', ['c']],
        ['root', ['a', 'b', 'c']],
      ]);
      expect([...loginsOn(access, { env: 'pro' })].map(([login]) => login)).toEqual(['a', 'b', 'root']);
    }
  });
});

const count = 500;
/** Roles of somebody who has very many: each with expressions, and with templates. */
const manyRoles = (nodeLabels: (i: number) => Record<string, string[]>): readonly RoleSpec[] =>
  Array.from({ length: count }, (_, i) =>
    roleSpec.parse({
      ...{ name: `r${i}`, options: {} },
      allow: { logins: ['root', '{{internal.logins}}', `l${i % 20}`], nodeLabels: nodeLabels(i) },
      deny: i % 50 === 0 ? { logins: ['nobody'], nodeLabels: { zone: [`^dmz-${i}$`] } } : {},
    }),
  );
const server = (n: number): Readonly<Record<string, string>> => ({
  hostname: `web-${n}-team${n % count}`,
  env: n % 2 === 0 ? 'prod' : `dev-${n % 100}`,
  zone: `z${n % 7}`,
});

/** Counts each look at a property of the object, and of those in it. */
function counted<T extends object>(target: T, looks: { count: number }): T {
  return new Proxy(target, {
    get: (of, name, receiver) => {
      looks.count++;
      const value: unknown = Reflect.get(of, name, receiver);
      return typeof value === 'object' && value !== null ? counted(value, looks) : value;
    },
  });
}

it('looks at no selector of a role after the first question, and at a few labels for each server', () => {
  const looks = { count: 0 };
  const roles = manyRoles((i) => ({ hostname: [`^web-[0-9]+-team${i}$`, `db-*-team${i}`] })).map((one) => ({
    ...one,
    allow: { ...one.allow, nodeLabels: counted(one.allow.nodeLabels, looks) },
    deny: { ...one.deny, nodeLabels: counted(one.deny.nodeLabels, looks) },
  }));
  const asked = { roles, traits: { logins: ['alice'] }, login: 'root' };
  const access = subjectAccess(asked);
  expect(checkServerAccess({ ...asked, labels: server(1) }).status).toBe('allowed');
  expect(looks.count).toBeGreaterThan(count);
  looks.count = 0;
  const labelsSeen = { count: 0 };
  for (let n = 0; n < 100; n++) {
    const labels = counted(server(n), labelsSeen);
    expect(checkServerAccess({ ...asked, labels }).status).toBe('allowed');
    expect(loginsOn(access, labels).size).toBe(3);
  }
  // Two questions, of the two labels that roles name.
  expect([looks.count, labelsSeen.count]).toEqual([0, 100 * 2 * 2]);
});

const cpuUs = (act: () => void): number => {
  const before = process.threadCpuUsage();
  act();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
};

it('costs hardly more for somebody with 500 roles than with 10', { timeout: 60_000 }, () => {
  const servers = Array.from({ length: 2_000 }, (_, n) => server(n));
  const all = manyRoles((i) => ({ hostname: [`^web-[0-9]+-team${i}$`] }));
  // The clock of a thread may go by milliseconds: of one round alone it may show nothing.
  const spent = { few: 0, many: 0 };
  const traits = { logins: ['alice', 'bob'] };
  for (let round = 0; round < 5; round++)
    for (const [name, roles] of [['few', all.slice(0, 10)] as const, ['many', all] as const]) {
      const access = subjectAccess({ roles, traits });
      const us = cpuUs(() => {
        for (const labels of servers) {
          checkServerAccess({ roles, traits, login: 'root', labels });
          loginsOn(access, labels);
        }
      });
      spent[name] += us / servers.length;
    }
  // Role by role it would be fifty times as much.
  expect([spent.many < 12 * spent.few, spent]).toEqual([true, spent]);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRoleMap, mapRoles, remoteRoleLimits, type RoleMap } from './role-map.ts';

const map = (...pairs: readonly [remote: string, ...local: string[]][]): RoleMap =>
  pairs.map(([remote, ...local]) => ({ remote, local }));

describe('a role map', () => {
  it.each<[string, RoleMap, string[], string[]]>([
    ['a name', map(['dev', 'a']), ['dev', 'ops'], ['a']],
    ['a name is whole', map(['dev', 'a']), ['devs', 'a-dev', 'DEV'], []],
    [
      'several at once, each once',
      map(['dev', 'a', 'b'], ['ops', 'b', 'c']),
      ['ops', 'dev'],
      ['b', 'c', 'a'],
    ],
    ['a star', map(['dev-*', 'a']), ['dev-', 'dev-x', 'dev'], ['a']],
    ['every role', map(['*', 'a']), ['x'], ['a']],
    ['a star is a group', map(['dev-*', 'local-$1']), ['dev-web'], ['local-web']],
    ['an expression', map(['^(dev|ops)-(.*)$', '$2-$1']), ['dev-web', 'x'], ['web-dev']],
    ['a group that is empty gives no role', map(['^dev(.*)$', '$1']), ['dev'], []],
    ['what has a meaning in expressions has none in names', map(['a.b', 'x']), ['axb'], []],
    ['also beside a star', map(['a.b*', 'x']), ['axbc', 'a.bc'], ['x']],
    ['an empty one', [], ['x'], []],
  ])('%s', (_, given, remote, local) => {
    expect(() => {
      checkRoleMap(given);
    }).not.toThrow();
    expect(mapRoles(given, remote)).toEqual(local);
  });

  it.each([
    [map(['a', 'x'], ['^dev', 'x']), 'spec.role_map[1]: "^dev": an expression is written "^…$"'],
    [map(['dev$', 'x']), 'spec.role_map[0]: "dev$": an expression'],
    [map(['^', 'x']), 'spec.role_map[0]'],
    [map(['^(dev$', 'x']), 'spec.role_map[0]'],
    [map(['^dev$', '$1']), 'has $1, and the pattern has no group'],
    [map(['dev', '$1']), 'has $1, and the pattern has no group'],
    [map(['^(a)\\1$', 'x']), 'spec.role_map[0]'],
    [map(['^(?=a).*$', 'x']), 'spec.role_map[0]'],
  ])('%j is refused with its place', (given, why) => {
    expect(() => {
      checkRoleMap(given);
    }).toThrow(
      expect.objectContaining({ code: 'bad_request', message: expect.stringContaining(why) as string }),
    );
    // Stored by a release that reads it, it gives nobody anything here; the mapping beside it stays.
    expect(mapRoles([...given, { remote: 'z', local: ['z'] }], ['z'])).toEqual(['z']);
  });

  it('takes no more of a certificate than its limits', () => {
    const { roles, length } = remoteRoleLimits;
    const all = map(['*', 'a']);
    expect(
      mapRoles(
        all,
        Array.from({ length: roles }, (_, i) => `r${i}`),
      ),
    ).toEqual(['a']);
    expect(
      mapRoles(
        all,
        Array.from({ length: roles + 1 }, (_, i) => `r${i}`),
      ),
    ).toEqual([]);
    expect(mapRoles(all, ['x'.repeat(length)])).toEqual(['a']);
    expect(mapRoles(all, ['fine', 'x'.repeat(length + 1)])).toEqual([]);
  });

  it('does not slow down on patterns that make others backtrack', () => {
    const evil = map(['^(a+)+b$', 'x'], ['^(a|a)*(a|aa)*c$', 'x'], ['*a*a*a*a*a*a*d', 'x']);
    const began = performance.now();
    expect(
      mapRoles(
        evil,
        Array.from({ length: 128 }, () => 'a'.repeat(256)),
      ),
    ).toEqual([]);
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  const name = fc.stringMatching(/^[a-c.*$^()|+-]{1,8}$/);
  it('of plain names is what the names say', () => {
    const plain = fc.stringMatching(/^[a-c]{1,3}$/);
    fc.assert(
      fc.property(
        fc.array(fc.record({ remote: plain, local: fc.array(plain, { minLength: 1, maxLength: 3 }) })),
        fc.array(plain),
        (given, roles) => {
          const expected = roles.flatMap((role) =>
            given.flatMap(({ remote, local }) => (remote === role ? local : [])),
          );
          expect(mapRoles(given, roles)).toEqual([...new Set(expected)]);
        },
      ),
    );
  });
  it('of any texts throws nothing, and gives only what a mapping names', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ remote: name, local: fc.array(name, { minLength: 1 }) })),
        fc.array(name),
        (given, roles) => {
          const mapped = mapRoles(given, roles);
          expect(mapped.includes('')).toBe(false);
          if (given.every(({ local }) => local.every((one) => !one.includes('$'))))
            for (const role of mapped) expect(given.some(({ local }) => local.includes(role))).toBe(true);
          if (roles.length === 0 || given.length === 0) expect(mapped).toEqual([]);
        },
      ),
    );
  });
  it('gives no more to somebody with fewer roles', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ remote: name, local: fc.array(name, { minLength: 1 }) })),
        fc.array(name),
        fc.array(name),
        (given, some, more) => {
          const all = mapRoles(given, [...some, ...more]);
          for (const role of mapRoles(given, some)) expect(all).toContain(role);
        },
      ),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isNamedBy, parseNamePatterns } from './name-patterns.ts';

describe('patterns of names', () => {
  it.each([
    ['web-*', 'web-1', true],
    ['web-*', 'WEB-1', true],
    ['web-*', 'web-', true],
    ['web-*', 'db-1', false],
    ['web-*', 'web-1.evil.example', false],
    ['*', 'anything', true],
    ['*', 'any.thing', false],
    ['*.db.example.com', 'a.db.example.com', true],
    ['*.db.example.com', 'a.b.db.example.com', false],
    ['a*b*c', 'aXbYc', true],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'ac', false],
    ['a*aa', 'aa', false],
    ['db1,db2', 'db2', true],
    ['db1,db2', 'db3', false],
  ])('%s means %s: %s', (patterns, name, means) => {
    expect(isNamedBy(parseNamePatterns(patterns), name)).toBe(means);
  });
  it.each(['a b', 'a/b', '-a', 'a..b', '.', 'a.', '^a$', 'a\nb', '[ab]', 'é', 'a'.repeat(254)])(
    'refuses %j',
    (text) => {
      expect(() => parseNamePatterns(text)).toThrow('is not a pattern of names');
    },
  );
  it('has a limit', () => {
    expect(() => parseNamePatterns(Array.from({ length: 21 }, (_, n) => `n${n}`).join())).toThrow(
      'at most 20',
    );
    expect(parseNamePatterns(' Web-*, web-*,, ')).toEqual(['web-*']);
  });
  it('means what the same expression means', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', '*', '.'), { minLength: 1, maxLength: 8 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(text, text, (pattern, raw) => {
        const name = raw.replaceAll('*', 'c');
        const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^.]*')}$`);
        expect(isNamedBy([pattern], name)).toBe(expression.test(name));
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labelPattern } from './label-pattern.ts';

describe('a label value', () => {
  it.each([
    ['prod', 'prod', true],
    ['prod', 'Prod', false],
    ['prod', 'production', false],
    ['*', '', true],
    ['prod-*', 'prod-eu', true],
    ['prod-*', 'prod', false],
    ['*-eu', 'prod-eu', true],
    ['a*a', 'a', false],
    ['a*b*c', 'a-b-c', true],
    ['a*bc*c', 'abc', false],
    ['^prod|dev', 'prod', false],
    ['a.c', 'abc', false],
    ['^(prod|dev)-\\d+$', 'dev-12', true],
    ['^(prod|dev)-\\d+$', 'dev-x', false],
    ['^prod$', 'xprod', false],
    ['^$', '', true],
  ])('%s against %s: %s', (pattern, value, expected) => {
    expect(labelPattern(pattern)(value)).toBe(expected);
  });

  it('as a glob agrees with the expression it stands for', () => {
    const unit = fc.constantFrom('a', 'b', '*');
    fc.assert(
      fc.property(
        fc.string({ unit, maxLength: 8 }),
        fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }),
        (glob, value) => {
          expect(labelPattern(glob)(value)).toBe(new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(value));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('stays right when very many patterns are in use', () => {
    for (let i = 0; i < 2_500; i++) expect(labelPattern(`v${i}*`)(`v${i}x`)).toBe(true);
  });
});

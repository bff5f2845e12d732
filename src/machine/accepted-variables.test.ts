import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptedVariables, patternFault } from './accepted-variables.ts';

describe('which variables are taken from outside', () => {
  const usual = acceptedVariables([]);
  it.each(['LANG', 'LC_ALL', 'LC_', 'GIT_PROTOCOL', 'TELEPORT_SESSION'])('%s', (name) => {
    expect(usual(name, 'any "value" = here')).toBe(true);
  });
  it.each([
    ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TERM', 'MAIL', 'SSH_AUTH_SOCK', 'SSH_TTY', 'LANGUAGE'],
    ...['GIT_CONFIG_COUNT', 'GIT_SSH_COMMAND', 'PROMPT_COMMAND', 'NODE_OPTIONS', 'PERL5OPT', 'EDITOR', 'LC'],
  ])('not %s', (name) => {
    expect(usual(name, 'x')).toBe(false);
  });
  it('also those that the configuration names', () => {
    const accepts = acceptedVariables(['EDITOR', 'MY_*', 'A?C']);
    expect(['EDITOR', 'MY_', 'MY_X', 'ABC', 'LANG'].every((name) => accepts(name, ''))).toBe(true);
    expect(['EDITORS', 'MY', 'AC', 'ABBC', 'xMY_'].some((name) => accepts(name, ''))).toBe(false);
  });
  it("never the session's own, nor what loads code, whatever the configuration says", () => {
    const accepts = acceptedVariables(['*']);
    expect(accepts('ANYTHING', '')).toBe(true);
    for (const name of ['PATH', 'HOME', 'USER', 'SHELL', 'TERM', 'SSH_CONNECTION', 'LD_PRELOAD', 'BASH_ENV'])
      expect(accepts(name, '')).toBe(false);
  });
  it('takes no pattern for another than a regular expression would', () => {
    const letters = fc.string({ unit: fc.constantFrom('A', 'B', '*', '?'), minLength: 1, maxLength: 8 });
    const names = fc.string({ unit: fc.constantFrom('A', 'B', '_'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(letters, names, (pattern, name) => {
        const regular = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(acceptedVariables([pattern])(name, '')).toBe(regular.test(name));
      }),
    );
  });
  it('is quick with hostile patterns and names', () => {
    const begun = performance.now();
    acceptedVariables(['*A'.repeat(128)])(`${'A'.repeat(255)}B`, '');
    expect(performance.now() - begun).toBeLessThan(200);
    expect(acceptedVariables(['*'])('A'.repeat(257), '')).toBe(false);
  });
});

describe('a pattern of the configuration', () => {
  it.each(['EDITOR', 'MY_*', '*', 'A?'])('%s', (pattern) => {
    expect(patternFault(pattern)).toBeUndefined();
  });
  it.each(['', 'A B', 'A=B', '1A', 'A-*', 'PATH', 'SSH_CLIENT', 'LD_PRELOAD', 'A\nB'])(
    'not %j',
    (pattern) => {
      expect(patternFault(pattern)).toBeTypeOf('string');
    },
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mayBeSet, parseEnvironmentFile } from './environment-file.ts';

describe('what may come from outside at all', () => {
  it.each(['LANG', 'LC_ALL', 'GIT_AUTHOR_NAME', 'TELEPORT_SESSION', '_x1'])('%s', (name) => {
    expect(mayBeSet(name, 'any "value" = here')).toBe(true);
  });
  it.each([
    'LD_PRELOAD',
    'LD_',
    'BASH_ENV',
    'ENV',
    'IFS',
    'GLIBC_TUNABLES',
    'BASH_FUNC_x',
    'SHELLOPTS',
    'PATH',
    'SSH_TTY',
  ])("not %s: it changes what is loaded or run, or is the session's own", (name) => {
    expect(mayBeSet(name, 'x')).toBe(false);
  });
  it.each(['', '1A', 'A-B', 'A B', 'A=B', 'Ä', 'A\n'])('not the name %j', (name) => {
    expect(mayBeSet(name, 'x')).toBe(false);
  });
  it('not a value of more than one line', () => {
    expect(mayBeSet('A', 'x\nLD_PRELOAD=/evil')).toBe(false);
    expect(mayBeSet('A', 'x\0')).toBe(false);
  });
});

describe('reading an environment file', () => {
  it('takes KEY=VALUE, skips comments and empty lines, keeps the order', () => {
    const text = '# c\n\nA=1\n  B=two words # no comment\nA=3\r\nC=\nD==x\n';
    expect(parseEnvironmentFile(text, mayBeSet)).toEqual({
      variables: [
        ['A', '1'],
        ['B', 'two words # no comment'],
        ['A', '3'],
        ['C', ''],
        ['D', '=x'],
      ],
      complaints: [],
    });
  });
  it('says which lines do not count', () => {
    const { variables, complaints } = parseEnvironmentFile(
      'A\n=b\nLD_PRELOAD=/x\nexport B=1\nOK=1\n',
      mayBeSet,
    );
    expect(variables).toEqual([['OK', '1']]);
    expect(complaints.map((line) => line.slice(0, 6))).toEqual(['line 1', 'line 2', 'line 3', 'line 4']);
  });
  it('counts no line after the 1000th, and says so', () => {
    const { variables, complaints } = parseEnvironmentFile('A=1\n'.repeat(1001), mayBeSet);
    expect(variables).toHaveLength(1000);
    expect(complaints).toEqual(['too many lines: only the first 1000 count']);
  });
  it('leaves out what is not admitted', () => {
    const { variables, complaints } = parseEnvironmentFile('A=1\nB=2\n', (name) => name === 'B');
    expect(variables).toEqual([['B', '2']]);
    expect(complaints).toHaveLength(1);
  });
  it('gives only what may be set, whatever the file holds', () => {
    const line = fc.oneof(
      fc.string(),
      fc.tuple(fc.string(), fc.string()).map((pair) => pair.join('=')),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        for (const [name, value] of parseEnvironmentFile(lines.join('\n'), mayBeSet).variables)
          expect(mayBeSet(name, value)).toBe(true);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asUser, lineVariables, onTerminal, preludeInput, programLine } from './program-line.ts';

const user = { name: 'joe', uid: 1000, gid: 100, home: '/home/joe', shell: '/bin/bash', groups: [100, 27] };

describe('the line that is run', () => {
  it('gives a command whole to the shell', () => {
    expect(programLine({ kind: 'command', command: 'a; "b"' }, user)).toEqual(['/bin/bash', '-c', 'a; "b"']);
  });
  it('makes a login shell, where the shell knows how', () => {
    expect(programLine({ kind: 'login-shell' }, user)).toEqual(['/bin/bash', '-l']);
    expect(programLine({ kind: 'login-shell' }, { shell: '/usr/sbin/nologin' })).toEqual([
      '/usr/sbin/nologin',
    ]);
  });
  it('drops to the ids and exactly the groups of the user before anything of the client is seen', () => {
    const line = asUser(
      '/usr/bin/setpriv',
      { user, umask: '027' },
      onTerminal('/usr/bin/setsid', ['/bin/bash', '-l']),
    );
    expect(line.slice(0, 6)).toEqual([
      '/usr/bin/setpriv',
      '--reuid=1000',
      '--regid=100',
      '--groups=100,27',
      '--',
      '/bin/sh',
    ]);
    expect(line.slice(-7)).toEqual([
      '/home/joe',
      '027',
      '/usr/bin/setsid',
      '--ctty',
      '--',
      '/bin/bash',
      '-l',
    ]);
    expect(asUser('setpriv', { user: { ...user, groups: [] }, umask: '022' }, [])[3]).toBe('--clear-groups');
  });
  it('sends variables one to a line', () => {
    const { variables, leftOut } = lineVariables([
      ['A', 'x y'],
      ['B', ''],
    ]);
    expect([preludeInput(variables), leftOut]).toEqual(['A=x y\nB=\n', []]);
  });
  it('leaves out what would become further variables, whatever the text', () => {
    const evil = fc.constantFrom(
      '\n',
      '\0',
      '\r',
      '=',
      ' ',
      '\u2028',
      '\u0085',
      'BASH_ENV=x',
      '$(id)',
      '"',
      "'",
      '`',
    );
    const text = fc.array(fc.oneof(evil, fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 6 });
    const pair = fc.tuple(
      fc.oneof(fc.constantFrom('A', 'B', 'LC_X'), fc.string()),
      text.map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 6 }), (pairs) => {
        const { variables, leftOut } = lineVariables(pairs);
        const lines = preludeInput(variables).split('\n');
        expect(lines.pop()).toBe('');
        expect(lines).toHaveLength(variables.size);
        for (const line of lines) {
          const at = line.indexOf('=');
          expect(pairs).toContainEqual([line.slice(0, at), line.slice(at + 1)]);
          expect(line).not.toContain('\0');
        }
        for (const [name] of pairs) expect(variables.has(name) || leftOut.includes(name)).toBe(true);
      }),
    );
  });
  it('does not let an earlier value stand where a later one of that name cannot', () => {
    const { variables, leftOut } = lineVariables([
      ['A', 'early'],
      ['A', 'x\nBASH_ENV=y'],
    ]);
    expect([variables.size, leftOut]).toEqual([0, ['A']]);
  });
});

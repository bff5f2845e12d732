import { describe, expect, it } from 'vitest';
import { asUser, onTerminal, preludeInput, programLine } from './program-line.ts';

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
    expect(
      preludeInput(
        new Map([
          ['A', 'x y'],
          ['B', ''],
        ]),
      ),
    ).toBe('A=x y\nB=\n');
  });
});

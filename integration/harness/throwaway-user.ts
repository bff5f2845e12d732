import { execFileSync } from 'node:child_process';

/** An account of the operating system for one test file. Only root can make one. */
export interface ThrowawayUser {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  remove(): void;
}

const quietly = (command: string, args: readonly string[]): void => {
  execFileSync(command, args, { stdio: 'ignore' });
};

/** Makes an account with a home and one further group, `<name>x`. */
export function makeUser(shell = '/bin/sh'): ThrowawayUser {
  const name = `tt${process.pid}${Math.floor(Math.random() * 1e4)}`;
  const home = `/tmp/home-${name}`;
  quietly('groupadd', [`${name}x`]);
  // `*`: no password. Without it useradd writes `!`, and the account is locked.
  quietly('useradd', ['-m', '-d', home, '-s', shell, '-p', '*', '-U', '-G', `${name}x`, name]);
  const uid = Number(execFileSync('id', ['-u', name], { encoding: 'utf8' }));
  return {
    name,
    uid,
    home,
    remove: () => {
      quietly('userdel', ['-r', '-f', name]);
      quietly('groupdel', ['-f', `${name}x`]);
    },
  };
}

/**
 * Whether tests that need root can run. Where they cannot, `make test` lists them as left out.
 * @throws Error where `CI` is set: there nothing is left out for that.
 */
export const isRoot = ((): boolean => {
  const root = process.getuid?.() === 0;
  if (!root && process.env['CI']) throw new Error('where CI is set, the tests are to run as root');
  return root;
})();

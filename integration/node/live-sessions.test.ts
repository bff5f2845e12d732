import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { userInfo } from 'node:os';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { endDaemons, startDaemon } from '../harness/daemon.ts';
import { createFirstUser } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';

interface Listed {
  readonly sid: string;
  readonly user: string;
  readonly login: string;
  readonly nodename: string;
  readonly from: string;
}

const closers: (() => void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await endDaemons();
});

/** A shell that a person has opened. */
interface Shell {
  readonly child: ChildProcess;
  text: string;
  readonly exit: Promise<number | null>;
}

describe('sessions that run', () => {
  // The shell of a real account may do a lot when it begins.
  const account: ThrowawayUser | undefined = isRoot ? makeUser() : undefined;
  const login = account?.name ?? userInfo().username;
  afterAll(() => account?.remove());

  it(
    'are listed within seconds, also after a reload, and end with a message',
    { timeout: 120_000 },
    async () => {
      const daemon = await startDaemon();
      const { cluster } = daemon;
      await createFirstUser(cluster, 'alice', { logins: [login] });
      await createFirstUser(cluster, 'bob', { logins: [login], roles: 'access' });
      const open = async (person: string): Promise<Shell> => {
        const child = spawn('script', ['-qec', `${resolve('bin/tsh')} ssh ${login}@node1`, '/dev/null'], {
          env: cluster.env(person),
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        closers.push(() => void child.kill('SIGKILL'));
        const shell: Shell = {
          child,
          text: '',
          exit: new Promise((done) =>
            child.once('close', (code) => {
              done(code);
            }),
          ),
        };
        child.stdout.on('data', (data: Buffer) => (shell.text += data.toString()));
        child.stdin.write('echo $((6 * 7))-here\n');
        await until(`the shell of ${person}`, () => (shell.text.includes('42-here') ? true : undefined));
        return shell;
      };
      const told = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await cluster.tctl(...args);
        if (code !== 0) throw new Error(stderr);
        return stdout;
      };
      const listed = async (...args: string[]): Promise<Listed[]> =>
        JSON.parse(await told('sessions', 'ls', '--format=json', ...args)) as Listed[];
      const counted = (count: number) =>
        until(`${count} sessions to be listed`, async () => {
          const now = await listed();
          return now.length === count ? now : undefined;
        });

      expect(await told('sessions', 'ls')).toBe('No sessions with a terminal run now.\n');
      const [alice, bob] = [await open('alice'), await open('bob')];
      const both = await counted(2);
      expect(both).toMatchObject([
        { user: 'alice', login, nodename: 'node1', from: '127.0.0.1' },
        { user: 'bob', login, nodename: 'node1', from: '127.0.0.1' },
      ]);
      expect(await told('sessions', 'ls', '--user=bob')).toMatch(
        new RegExp(
          `^ID +User +Login +Node +Since +Idle +From +Joined by *\n.*\n\\S+ bob +${login} +node1 .* 127.0.0.1 +- *\n$`,
        ),
      );
      expect(await listed('--node=elsewhere')).toEqual([]);
      const own = await cluster.tsh('bob', ['sessions', 'ls', '--format=json']);
      expect((JSON.parse(own.stdout) as Listed[]).map(({ user }) => user)).toEqual(['bob']);

      await daemon.reload();
      expect((await counted(2)).map(({ sid }) => sid)).toEqual(both.map(({ sid }) => sid));
      const carol = await open('alice');
      await counted(3);

      const [first = expect.unreachable()] = both;
      const ended = await cluster.tctl('sessions', 'end', first.sid, '--message=the desk is closed');
      expect(ended).toMatchObject({ code: 0, stdout: `Ended session ${first.sid} of alice on node1.\n` });
      expect(await alice.exit).not.toBe(0);
      expect(alice.text).toContain('the desk is closed');
      expect((await listed()).map(({ sid }) => sid)).not.toContain(first.sid);
      for (const one of [bob, carol]) one.child.stdin?.write('exit\n');
      await Promise.all([bob.exit, carol.exit]);
      await counted(0);

      const again = await cluster.tctl('sessions', 'end', first.sid);
      expect([again.code, again.stderr]).toEqual([
        1,
        expect.stringContaining(`session '${first.sid}' not found or it has ended`) as string,
      ]);
      const wrong = await cluster.tctl('sessions', 'end', 'abc');
      expect([wrong.code, wrong.stderr]).toEqual([
        1,
        expect.stringContaining('"abc" is not a valid session ID (must be GUID)') as string,
      ]);
    },
  );
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthFleet, startAuthFleet } from '../harness/auth-fleet.ts';
import { createFirstUser, password, type PeopleCluster } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';

const login = userInfo().username;
const text = 'lock targeting User:"joe" is in force: call the desk';

describe('a lock, as an operator makes it', () => {
  let cluster: AuthFleet;
  let people: PeopleCluster;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    cluster = await startAuthFleet();
    ({ people } = await cluster.addFront('node1'));
    await createFirstUser(people, 'joe', { logins: [login] });
  }, 120_000);
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await cluster.fleet.close();
  });
  const tctl = async (...args: string[]): Promise<string> => {
    const ran = await people.tctl(...args);
    if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  };
  const idIn = (printed: string): string => /"([0-9a-f-]{36})"/.exec(printed)?.[1] ?? printed;
  const echo = async (): Promise<string> => {
    const ran = await people.tsh('joe', ['ssh', `${login}@node1`, 'echo', 'here']);
    return ran.code === 0 ? ran.stdout : `refused: ${ran.stderr}`;
  };

  /** Where no certificate is yet. */
  const logInElsewhere = (secret: string): ReturnType<PeopleCluster['tsh']> =>
    people.tsh('elsewhere', ['login', `--proxy=localhost:${people.ports.web}`, '--user=joe'], {
      input: `${secret}\n`,
    });

  it('ends a session through the proxy with the message, refuses login and session, also without auth, and is over by unlock', async () => {
    const child = spawn(resolve('bin/tsh'), ['ssh', `${login}@node1`, 'echo here; cat'], {
      env: people.env('joe'),
    });
    children.push(child);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child.stdout, 'data');
    const backup = join(cluster.fleet.dir, 'backup');
    await tctl('log', 'export', backup, '--with-secrets');
    const ended = once(child, 'close');
    const id = idIn(await tctl('lock', '--user=joe', '--message=call the desk'));
    const beganAt = performance.now();
    await ended;
    expect(performance.now() - beganAt).toBeLessThan(2_500);
    expect(stderr).toContain(text);
    expect(await tctl('locks', 'ls')).toMatch(new RegExp(`${id} User:"joe" +call the desk never +admin`));
    const right = await logInElsewhere(password);
    expect([right.code, right.stderr.includes(text)]).toEqual([1, true]);
    const wrong = await logInElsewhere(`${password}x`);
    expect([wrong.code, wrong.stderr.includes('lock')]).toEqual([1, false]);
    await cluster.auth.stop();
    expect(await echo()).toMatch(/^refused/);
    // A backup of before the lock does not end it.
    expect(await tctl('log', 'import', backup)).toMatch(/nothing|already/i);
    await cluster.auth.start();
    expect(await echo()).toMatch(/^refused/);
    expect(await tctl('unlock', id)).toBe(`Lock "${id}" has been deleted\n`);
    await until('the end of the lock', async () => ((await echo()) === 'here\n' ? true : undefined));
    expect(await tctl('events', 'ls', '--type=lock.created', '--type=lock.deleted')).toMatch(
      /TLK02I|lock\.created/,
    );
  });

  it('of a node ends its heartbeats, and is heard of when it ends', async () => {
    const id = idIn(await tctl('lock', '--node=node1', '--ttl=1h'));
    expect(await echo()).toMatch(/^refused/);
    await tctl('unlock', id);
    await until('the node to be reached', async () => ((await echo()) === 'here\n' ? true : undefined));
  });

  it.each([
    [['lock'], /need exactly one of --user, --role, --login, --node, --session, --serial/],
    [['lock', '--user=a', '--role=b'], /need exactly one of/],
    [['lock', '--user=joe', '--ttl=1ms'], /--ttl/],
    [['lock', '--serial=0'], /is not the serial of a certificate/],
    [['unlock', 'x'], /lock x is not found/],
  ])('is refused with one message: %j', async (args, why) => {
    const ran = await people.tctl(...args);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(why);
    expect(await tctl('locks', 'ls')).toBe('No locks found.\n');
  });

  it('of a name that nobody has is made with a warning', async () => {
    const ran = await people.tctl('lock', '--user=jo', '--ttl=1m');
    expect([ran.code, ran.stderr]).toEqual([
      0,
      'warning: the cluster has no user "jo" now: check the spelling\n',
    ]);
  });
});

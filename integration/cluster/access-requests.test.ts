import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkIn } from '../harness/cluster.ts';
import { type AuthFleet, startAuthFleet } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { acceptLink, logIn, password, type PeopleCluster } from '../harness/people.ts';
import { type Ran, run, until } from '../harness/run-program.ts';

const login = userInfo().username;

const roles = `kind: role
version: v3
metadata: {name: dev}
spec:
  allow:
    logins: [nobody]
    node_labels: {env: none}
    request: {roles: ['op*'], annotations: {team: [eu]}}
  deny:
    request: {roles: [open]}
---
kind: role
version: v3
metadata: {name: ops}
spec:
  options: {max_session_ttl: 1h}
  allow:
    logins: ['{{internal.logins}}']
    node_labels: {'*': '*'}
    rules: [{resources: [token], verbs: [list]}]
---
kind: role
version: v3
metadata: {name: asked}
spec:
  options: {request_access: reason, request_prompt: 'Which ticket?'}
  allow: {request: {roles: [ops]}}
---
kind: role
version: v3
metadata: {name: open}
spec: {}
`;
const userOf = (name: string, has: string): string =>
  `kind: user\nversion: v2\nmetadata: {name: ${name}}\nspec: {roles: [${has}], traits: {logins: [${login}]}}\n`;

describe('a person who requests a role', () => {
  let cluster: AuthFleet;
  let members: Machine;
  let people: PeopleCluster;
  const children: ChildProcess[] = [];
  const config = (): string => cluster.auth.config;
  const must = async (ran: Promise<Ran>): Promise<string> => {
    const { code, stdout, stderr } = await ran;
    expect(`${String(code)} ${stderr}`).toMatch(/^0 /);
    return stdout;
  };
  const tctl = (...args: string[]): Promise<string> => must(people.tctl(...args));
  const as = (person: string, ...args: string[]): Promise<Ran> =>
    run(resolve('bin/tctl'), args, { env: people.env(person) });
  const echo = async (): Promise<string> => {
    const ran = await people.tsh('ann', ['ssh', `${login}@node1`, 'echo', 'here']);
    return ran.code === 0 ? ran.stdout : `refused: ${ran.stderr}`;
  };
  const request = (...more: string[]): Promise<Ran> =>
    people.tsh('ann', ['login', '--request-roles=ops', ...more]);
  const pending = (user = 'ann'): Promise<string> =>
    until('a request that waits', async () => {
      const listed = await tctl('requests', 'ls');
      return new RegExp(`^(\\S+) +${user} .* PENDING `, 'm').exec(listed)?.[1];
    });
  const create = (text: string): Promise<string> =>
    must(run(resolve('bin/tctl'), ['-c', config(), 'create'], { input: text }));

  beforeAll(async () => {
    cluster = await startAuthFleet();
    ({ front: members, people } = await cluster.addFront('node1'));
    await create(roles);
    for (const [name, has] of [
      ['ann', 'dev'],
      ['boss', 'editor, dev'],
    ] as const) {
      await create(userOf(name, has));
      await acceptLink(people, linkIn(await tctl('users', 'reset', name)));
      await logIn(people, name);
    }
  }, 180_000);
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await cluster.fleet.close();
  });

  it('waits for the approval over a restart of the proxy, has the role until it is removed, with auth away too', async () => {
    expect(await echo()).toMatch(/^refused/);
    const waiting = request('--request-reason=INC-1');
    const id = await pending();
    await members.stop();
    await members.start();
    expect(await as('ann', 'requests', 'approve', id)).toMatchObject({ code: 1 });
    await must(as('boss', 'request', 'approve', '--reason=until tonight', '--annotations=ticket=7', id));
    const printed = await must(waiting);
    expect(printed).toContain(
      `Seeking request approval... (id: ${id})\n\nApproval received, getting updated certificates...\n\n`,
    );
    expect(printed).toMatch(/Roles: +dev, ops\n +Requests: +\S+\n/);
    expect(
      await until('the way to the node', async () => ((await echo()) === 'here\n' ? 'here' : undefined)),
    ).toBe('here');
    expect((await as('ann', 'tokens', 'ls')).code).toBe(0);
    expect(await tctl('access', 'explain', 'ann', `${login}@node1`)).toContain(`by access request ${id}`);

    await cluster.auth.stop();
    expect(await echo()).toBe('here\n');
    await cluster.auth.start();

    const child = spawn(resolve('bin/tsh'), ['ssh', `${login}@node1`, 'echo here; cat'], {
      env: people.env('ann'),
    });
    children.push(child);
    await once(child.stdout, 'data');
    const ended = once(child, 'close');
    await tctl('requests', 'rm', id);
    const beganAt = performance.now();
    await ended;
    expect(performance.now() - beganAt).toBeLessThan(2_500);
    expect(await echo()).toMatch(/^refused/);
    expect((await as('ann', 'tokens', 'ls')).stderr).toContain('access denied');
    const events = await tctl(
      ...['events', 'ls', '--format=json'],
      ...['create', 'update', 'delete'].map((verb) => `--type=access_request.${verb}`),
      '--type=cert.create',
    );
    for (const code of ['T5000I', 'T5001I', 'T5003I', 'TC003I']) expect(events).toContain(code);
  }, 240_000);

  it('is told when it is denied, with the reason', async () => {
    const waiting = request();
    const id = await pending();
    expect(await tctl('requests', 'get', id)).toMatch(
      /^Token: +\S+ *\nRequestor: +ann *\nMetadata: +roles=ops *\nCreated At \(UTC\): +.* UTC *\nStatus: +PENDING/,
    );
    await must(as('boss', 'requests', 'deny', '--reason=not today', id));
    const ran = await waiting;
    expect([ran.code, ran.stderr]).toEqual([
      1,
      `error: request ${id} has been set to DENIED, reason="not today"\n`,
    ]);
    expect(await tctl('get', 'access_request')).toContain('resolve_reason: not today');
    expect(await echo()).toMatch(/^refused/);
  }, 120_000);

  it('is asked for the reason at the login, where a role wants that', async () => {
    await create(userOf('eve', 'asked'));
    await acceptLink(people, linkIn(await tctl('users', 'reset', 'eve')));
    const waiting = people.tsh('eve', ['login', `--proxy=localhost:${people.ports.web}`, '--user=eve'], {
      input: `${password}\nINC-9\n`,
    });
    const id = await pending('eve');
    expect(await tctl('requests', 'ls')).toMatch(/ eve +roles=ops .* PENDING +"INC-9"/);
    await must(as('boss', 'requests', 'approve', id));
    const ran = await waiting;
    expect(`${String(ran.code)} ${ran.stderr}`).toMatch(/^0 [^]*Which ticket\?/);
    expect(ran.stdout).toMatch(/Roles: +asked, ops\n/);
  }, 120_000);

  it.each<[string, string[], RegExp]>([
    ['a role that is denied', ['--request-roles=open'], /may not request the role "open"/],
    ['a role that is not there', ['--request-roles=opx'], /role "opx" is not found; did you mean ops\?/],
    ['nothing', ['--request-roles='], /need a name/],
    ['two ways at once', ['--request-roles=ops', '--request-id=x'], /give one of them/],
    ['a request that is not there', ['--request-id=x'], /access request x is not found/],
    ['a file', ['--request-roles=ops', '--out=x'], /not available/],
  ])('is refused %s', async (_what, flags, why) => {
    const ran = await people.tsh('ann', ['login', ...flags]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(why);
    expect(ran.stderr).not.toContain(' at ');
  });
});

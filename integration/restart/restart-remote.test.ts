import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/base/process-ref.ts';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import { until } from '../harness/run-program.ts';
import { gone } from '../harness/daemon.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';
import { type Reloadable, reloadable } from './reloadable.ts';
import { command, failuresOf, startLoad, tallyLines } from './restart-load.ts';

const login = userInfo().username;
let cluster: AuthFleet;
let auth: Reloadable;
const joiners: Reloadable[] = [];
const ports = { auth: 0, web: 0, proxySsh: 0, ssh: 0 };

const add = async (name: string): Promise<Reloadable> => {
  const added = reloadable(await cluster.fleet.add(name));
  joiners.push(added);
  return added;
};
const start = (one: Reloadable): Promise<void> => one.machine.start({ args: one.args });

beforeAll(async () => {
  cluster = await startAuthFleet();
  auth = reloadable(cluster.auth);
  await cluster.auth.stop();
  await start(auth);
  const [web = 0, proxySsh = 0, ssh = 0] = await freePorts(3);
  Object.assign(ports, { auth: cluster.authPort, web, proxySsh, ssh });
});
afterAll(async () => {
  for (const one of [...joiners, auth]) await one.end();
  await cluster.fleet.close();
});

describe('a reload of the auth server in the middle of joins', () => {
  it('refuses none, and keeps none waiting', { timeout: 120_000 }, async () => {
    const nodes = await Promise.all(['a', 'b', 'c', 'd'].map(add));
    for (const { machine } of nodes)
      machine.configure(cluster.nodeYaml(machine, `auth_token: ${tokens.node}`));
    const state = { joined: false };
    const joining = Promise.all(nodes.map(start)).finally(() => {
      state.joined = true;
    });
    let reloads = 0;
    // A busy machine may have joined all of them during the first.
    while (!state.joined || reloads < 2) {
      await auth.reload();
      reloads++;
    }
    await joining;
    console.log(`${nodes.length} nodes joined during ${reloads} reloads`);
    for (const { machine } of nodes) expect(machine.output()).not.toContain('failed to establish');
    const listed = (await cluster.joinEvents()).map((event) => event['nodename'] ?? event['node_name']);
    expect(listed).toHaveLength(nodes.length);
    await Promise.all(nodes.map((one) => one.end()));
  });
});

describe('a HUP to a daemon that waits to join', () => {
  it(
    'starts a new one from what is on disk, which serves in its place or says why not',
    { timeout: 120_000 },
    async () => {
      const node = await add('late');
      const { machine } = node;
      const [nowhere = 0] = await freePorts(1);
      const right = cluster.nodeYaml(machine, `auth_token: ${tokens.node}`, 'restart_timeout: 10s');
      const wrong = right.replace(`127.0.0.1:${ports.auth}`, `127.0.0.1:${nowhere}`);
      machine.configure(wrong);
      const child = machine.spawn({ args: node.args });
      const exited = new Promise((settle) => {
        child.once('exit', settle);
      });
      await machine.says('failed to establish connection');
      machine.configure(`${wrong}broken: [\n`);
      process.kill(machine.pid(), 'SIGHUP');
      const { at, reason } = await node.failure();
      expect(reason).toMatch(/late\.yaml:\d+/);
      machine.configure(wrong);
      process.kill(machine.pid(), 'SIGHUP');
      expect((await node.failure(at)).reason).toMatch(
        /^was not ready within 10 s and was ended; its last line: Node failed to establish connection to cluster: .*ECONNREFUSED/,
      );
      expect(child.exitCode).toBeNull();
      expect(node.main()).toBeUndefined();
      machine.configure(right);
      process.kill(machine.pid(), 'SIGHUP');
      const main = await until('a process that serves', () => node.main());
      expect(main.pid).not.toBe(child.pid);
      expect(await exited).toBe(0);
      expect((await machine.readyz())?.code).toBe(200);
    },
  );
});

describe('a reload of a proxy and of a node while the auth server is away', () => {
  let people: PeopleCluster;
  let proxy: Reloadable;
  let node: Reloadable;
  beforeAll(async () => {
    [proxy, node] = [await add('proxy1'), await add('node1')];
    const lines = [`auth_token: ${tokens.both}`, 'restart_timeout: 10s'];
    const proxyServices = `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ports.proxySsh}
  web_listen_addr: 127.0.0.1:${ports.web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${ports.web}
  ssh_public_addr: localhost:${ports.proxySsh}
`;
    proxy.machine.configure(cluster.joinerYaml(proxy.machine, lines, proxyServices));
    node.machine.configure(
      cluster.nodeYaml(node.machine, ...lines).replace('127.0.0.1:0', `127.0.0.1:${ports.ssh}`),
    );
    await Promise.all([start(proxy), start(node)]);
    people = cluster.fleet.people({ auth: auth.machine, proxy: proxy.machine, web: ports.web });
    await createFirstUser(people, 'joe', { logins: [login] });
  });

  it(
    'fails with the reason within its limit, refuses nobody, and is made up for later',
    { timeout: 120_000 },
    async () => {
      const env = people.env('joe');
      const session = spawn(resolve('bin/tsh'), ['ssh', '-t', `${login}@node1`, 'echo here; cat'], { env });
      let said = '';
      session.stdout.on('data', (data: Buffer) => (said += data.toString()));
      const hears = (text: string): Promise<true> =>
        until(`the session to say ${text}`, () => (said.includes(text) ? true : undefined));
      await hears('here');
      const before = { proxy: proxy.main(), node: node.main(), auth: auth.main() };
      if (before.auth === undefined) throw new Error('the auth server serves');
      process.kill(before.auth.pid, 'SIGTERM');
      await gone(before.auth);
      const { web, proxySsh, ssh } = ports;
      const load = startLoad(
        { ports: { web, proxySsh, ssh } },
        { 'tsh ssh': command(resolve('bin/tsh'), ['ssh', `${login}@node1`, 'echo', 'hello'], env, 'hello') },
      );
      for (const { pid } of [before.proxy, before.node].filter((one) => one !== undefined))
        process.kill(pid, 'SIGHUP');
      for (const [one, role] of [
        [proxy, 'Proxy'],
        [node, 'Node'],
      ] as const)
        expect((await one.failure()).reason).toMatch(
          new RegExp(
            `^was not ready within 10 s and was ended; its last line: ${role} failed to establish connection to cluster: .*ECONNREFUSED`,
          ),
        );
      session.stdin.write('still there\n');
      await hears('still there');
      await load.stop();
      console.log(tallyLines(load));
      expect(failuresOf(load)).toEqual([]);
      for (const { done } of Object.values(load.tallies)) expect(done).toBeGreaterThan(0);
      expect([proxy.main(), node.main()]).toEqual([before.proxy, before.node]);

      await start(auth);
      for (const one of [proxy, node]) await one.reload();
      session.stdin.write('and now\n');
      await hears('and now');
      expect(before.node !== undefined && isAlive(before.node)).toBe(true);
      session.stdin.end('\x04');
      for (const old of [before.proxy, before.node]) if (old !== undefined) await gone(old);
      expect((await people.tsh('joe', ['ssh', `${login}@node1`, 'echo', 'new'])).stdout).toBe('new\n');
    },
  );
});

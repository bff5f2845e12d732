import { readdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { version } from '../../src/base/version.ts';
import { type AuthFleet, identityTextIn, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import { run, until } from '../harness/run-program.ts';
import type { Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, type PeopleCluster, sshConfigFor } from '../harness/people.ts';
import { replay } from '../harness/transcript.ts';

const login = userInfo().username;
let cluster: AuthFleet;
let auth: Machine;
let proxy: Machine;
let node: Machine;
let people: PeopleCluster;
let pin = '';

beforeAll(async () => {
  cluster = await startAuthFleet();
  ({ auth } = cluster);
  proxy = await cluster.fleet.add('proxy1');
  node = await cluster.fleet.add('node1');
  pin = await cluster.pin();
  const [web = 0, ssh = 0] = await freePorts(2);
  proxy.configure(
    cluster.joinerYaml(
      proxy,
      [`auth_token: ${tokens.both}`, `ca_pin: [sha256:${'0'.repeat(64)}, "${pin}"]`],
      `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`,
    ),
  );
  node.configure(cluster.nodeYaml(node));
  await Promise.all([
    proxy.start(),
    node.start({ args: [`--token=${tokens.node}`, `--ca-pin=${pin},sha256:${'1'.repeat(64)}`] }),
  ]);
  people = cluster.fleet.people({ auth, proxy, web });
  await createFirstUser(people, 'joe', { logins: [login] });
});
afterAll(() => cluster.fleet.close());

const throughProxy = async (): Promise<void> => {
  const ran = await people.tsh('joe', ['ssh', `${login}@node1`, 'echo', 'by tsh']);
  expect(`${ran.stdout}${ran.stderr}`).toBe('by tsh\n');
};

describe('machines that join with token and pin', () => {
  it('serve tsh and stock ssh, each role in a process of its own', async () => {
    await throughProxy();
    const config = await sshConfigFor(people, 'joe');
    const ran = await run('ssh', ['-F', config, `${login}@node1.example`, 'echo by ssh'], {
      env: people.env('joe'),
    });
    expect(ran.stdout).toBe('by ssh\n');
    for (const machine of [proxy, node]) {
      expect(machine.output()).not.toContain('Joining cluster without validating');
      for (const token of Object.values(tokens)) expect(machine.output()).not.toContain(token);
    }
  });

  it('need no token the next time, and no pin', async () => {
    expect((await node.stop()).code).toBe(0);
    const before = identityTextIn(node, 'node');
    node.configure(cluster.nodeYaml(node));
    await node.start();
    expect(identityTextIn(node, 'node')).toBe(before);
    expect(node.output()).not.toContain('Joining cluster without validating');
    await throughProxy();
  });

  it('wait for an auth server that is away, and say so', async () => {
    await auth.stop();
    await node.stop();
    node.spawn();
    const line = await node.says('failed to establish connection to cluster');
    expect(line).toMatch(
      /ERROR \[NODE\] Node failed .*127\.0\.0\.1:\d+: connect ECONNREFUSED.*Retrying in \d+ s$/,
    );
    expect(await node.readyz()).toMatchObject({
      code: 400,
      body: expect.stringMatching(/hasn't joined.*"waitsFor":\["Node failed to establish/) as string,
    });
    await auth.start();
    await node.says(`Service ${version}`);
    expect(node.output()).not.toContain('refused');
    // It listens on another port now, which a proxy that was without auth as well learns a moment later.
    await until('the proxy to know where it is', async () =>
      (await people.tsh('joe', ['ssh', `${login}@node1`, 'true'])).code === 0 ? true : undefined,
    );
    await throughProxy();
  });
});

describe('a machine that is to leave when it is stopped', () => {
  const isListed = async (): Promise<boolean> =>
    /^node1 /m.test((await cluster.fleet.tctl(auth, 'nodes', 'ls')).stdout);
  const lefts = async (): Promise<number> => {
    const { stdout } = await cluster.fleet.tctl(auth, 'log', 'tail');
    return stdout.split('\n').filter((line) => line.includes('host.left')).length;
  };

  it('is no longer a member, keeps its identity, and is one again when it is started', async () => {
    await node.stop();
    // As any other that was stopped, it is listed for a while.
    expect([await isListed(), await lefts()]).toEqual([true, 0]);
    node.configure(cluster.nodeYaml(node, 'leave_on_stop: yes'));
    await node.start();
    const before = identityTextIn(node, 'node');
    expect((await node.stop()).code).toBe(0);
    expect([await isListed(), await lefts()]).toEqual([false, 1]);
    await node.start();
    expect([await isListed(), identityTextIn(node, 'node')]).toEqual([true, before]);
    await throughProxy();
    node.configure(cluster.nodeYaml(node));
    await node.stop();
    await node.start();
  });
});

describe('after the auth server was set up from scratch', () => {
  it('a node says what was refused, leaves its cluster only for the pin, and keeps the old identity', async () => {
    await node.stop();
    await auth.stop();
    auth.configure(cluster.authYaml(`${auth.dataDir}-anew`));
    await auth.start();
    const newPin = await cluster.pin();
    expect(newPin).not.toBe(pin);
    const old = identityTextIn(node, 'node');
    node.configure(cluster.nodeYaml(node, 'log: {severity: warn}'));
    const env = {
      ...people.env('operator'),
      TOKEN: tokens.node,
      OLD_PIN: pin,
      NEW_PIN: newPin,
      UNTIL: resolve('integration/join/run-until.sh'),
    };
    await replay('integration/harness/transcripts/auth-set-up-anew.txt', env, cluster.fleet.dir);
    const kept = readdirSync(join(node.dataDir, 'proc')).filter((name) => name.includes('.refused-'));
    expect(kept).toHaveLength(1);
    expect(readFileSync(join(node.dataDir, 'proc', kept[0] ?? ''), 'utf8')).toBe(old);
  });

  it('a process that runs says in /readyz why it lost its cluster', async () => {
    const line = await proxy.says(/ERROR \[PROXY\] the identity of this machine .* is refused/);
    expect(line).toContain(`127.0.0.1:${cluster.authPort}: its certificate is not signed by`);
    expect((await proxy.readyz())?.body).toMatch(/auth is away.*is refused.*SIGHUP/);
  });
});

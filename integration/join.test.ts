import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePorts, run } from './cluster.ts';
import { createFleet, type Fleet, type Machine } from './machines.ts';
import { createFirstUser, type PeopleCluster, sshConfigFor } from './people.ts';
import { replay } from './transcript.ts';

const login = userInfo().username;
const tokens = { both: 'static-token-for-both', node: 'static-token-for-nodes' };

let fleet: Fleet;
let auth: Machine;
let proxy: Machine;
let node: Machine;
let people: PeopleCluster;
let pin = '';
const ports = { auth: 0, web: 0, ssh: 0 };

const authYaml = (dataDir = auth.dataDir): string => `teleport:
  nodename: auth1
  data_dir: ${dataDir}
auth_service:
  listen_addr: 127.0.0.1:${ports.auth}
  cluster_name: example
  tokens: ["proxy,node:${tokens.both}", "node:${tokens.node}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`;
/** A machine that joins. `lines` are of the `teleport` section. */
const joinerYaml = (machine: Machine, lines: readonly string[], services: string): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
${['  auth_servers: [127.0.0.1:' + String(ports.auth) + ']', ...lines.map((line) => `  ${line}`)].join('\n')}
auth_service: {enabled: no}
${services}`;
const nodeServices = `ssh_service: {listen_addr: 127.0.0.1:0}
proxy_service: {enabled: no}
`;
const nodeYaml = (machine: Machine, ...lines: string[]): string => joinerYaml(machine, lines, nodeServices);

const pinOf = async (machine: Machine): Promise<string> => {
  const status = await fleet.tctl(machine, 'status');
  return /sha256:[0-9a-f]{64}/.exec(status.stdout)?.[0] ?? `no pin in: ${status.stdout}${status.stderr}`;
};
const identityIn = (machine: Machine, role: string): string =>
  join(machine.dataDir, 'proc', `${role}.identity.json`);

beforeAll(async () => {
  fleet = createFleet();
  [ports.auth = 0, ports.web = 0, ports.ssh = 0] = await freePorts(3);
  auth = await fleet.add('auth1');
  proxy = await fleet.add('proxy1');
  node = await fleet.add('node1');
  auth.configure(authYaml());
  await auth.start();
  pin = await pinOf(auth);
  proxy.configure(
    joinerYaml(
      proxy,
      [`auth_token: ${tokens.both}`, `ca_pin: [sha256:${'0'.repeat(64)}, "${pin}"]`],
      `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ports.ssh}
  web_listen_addr: 127.0.0.1:${ports.web}
  public_addr: localhost:${ports.web}
  ssh_public_addr: localhost:${ports.ssh}
`,
    ),
  );
  node.configure(nodeYaml(node));
  await Promise.all([
    proxy.start(),
    node.start({ args: [`--token=${tokens.node}`, `--ca-pin=${pin},sha256:${'1'.repeat(64)}`] }),
  ]);
  people = fleet.people({ auth, proxy, web: ports.web });
  await createFirstUser(people, 'joe', { logins: [login] });
});
afterAll(() => fleet.close());

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
    const before = readFileSync(identityIn(node, 'node'), 'utf8');
    node.configure(nodeYaml(node));
    await node.start();
    expect(readFileSync(identityIn(node, 'node'), 'utf8')).toBe(before);
    expect(node.output()).not.toContain('Joining cluster without validating');
    await throughProxy();
  });

  it('wait for an auth server that is away, and say so', async () => {
    await auth.stop();
    await node.stop();
    node.spawn();
    const line = await node.says('failed to establish connection to cluster');
    expect(line).toMatch(
      /ERROR \[NODE\] Node failed .*127\.0\.0\.1:\d+: connect ECONNREFUSED.*Tries again in \d+ s$/,
    );
    expect(await node.readyz()).toMatchObject({
      code: 400,
      body: expect.stringMatching(/hasn't joined.*"waitsFor":\["Node failed to establish/) as string,
    });
    await auth.start();
    await node.says('Service 4.5.0');
    expect(node.output()).not.toContain('refused');
    await throughProxy();
  });
});

describe('a machine that cannot join', () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await fleet.add('node2');
  });
  const attempt = async (yaml: string, says: string | RegExp, within: readonly string[] = []) => {
    rmSync(machine.dataDir, { recursive: true, force: true });
    machine.configure(yaml);
    machine.spawn({ within });
    const line = await machine.says(says);
    const ready = await machine.readyz();
    expect(ready?.code).toBe(400);
    expect(existsSync(identityIn(machine, 'node'))).toBe(false);
    expect(machine.output()).not.toMatch(/^\s+at .*\.ts:\d+/m);
    return { line, waits: ready?.body ?? '' };
  };

  it('says which pin it expected and got, and ends at once on TERM and on QUIT', async () => {
    const wrong = `sha256:${'2'.repeat(64)}`;
    const yaml = nodeYaml(machine, `auth_token: ${tokens.node}`, `ca_pin: ${wrong}`);
    for (const signal of ['SIGTERM', 'SIGQUIT', 'SIGINT'] as const) {
      const { line, waits } = await attempt(yaml, 'provided certificate pin does not match cluster pin');
      expect(line).toContain(
        `Expected: ${wrong}. Got from 127.0.0.1:${ports.auth}: ${pin} (of "example", made `,
      );
      expect(waits).toContain('provided certificate pin does not match');
      const { code, ms } = await machine.stop(signal);
      expect(code).toBe(0);
      expect(ms).toBeLessThan(2_000);
    }
  });

  it('warns on standard error when it has no pin, also where the log goes to a file', async () => {
    machine.configure(
      nodeYaml(
        machine,
        `auth_token: ${tokens.node}`,
        `log: {output: ${join(fleet.dir, 'node2.log')}, severity: error}`,
      ),
    );
    await machine.start();
    expect(machine.errors()).toMatch(
      /^WARN: Joining cluster without validating the identity of the Auth Server\./,
    );
    await machine.stop();
  });

  it('is told that the token is not valid, or not for its role', async () => {
    const bad = await attempt(
      nodeYaml(machine, 'auth_token: no-such-token', `ca_pin: ${pin}`),
      /can ?not join the cluster/,
    );
    expect(bad.line).toContain('the token is not valid');
    expect(bad.line).not.toContain('no-such-token');
    await machine.stop();
    const yaml = joinerYaml(
      machine,
      [`auth_token: ${tokens.node}`, `ca_pin: ${pin}`],
      `ssh_service: {enabled: no}
proxy_service: {listen_addr: 127.0.0.1:0, web_listen_addr: 127.0.0.1:0}
`,
    );
    const wrongRole = await attempt(yaml, /Proxy failed to establish connection/);
    expect(wrongRole.line).toMatch(/does not allow "?Proxy"? role/);
    await machine.stop();
  });

  it('names the clock that is wrong, ahead or behind', async () => {
    const found = await run('/bin/sh', ['-c', 'ls /usr/lib/*/faketime/libfaketime.so.1']);
    const library = found.stdout.trim().split('\n')[0] ?? '';
    if (library === '') throw new Error('this test needs the package faketime');
    for (const offset of ['+3600', '-3600']) {
      const { line } = await attempt(
        nodeYaml(machine, `auth_token: ${tokens.node}`, `ca_pin: ${pin}`),
        'failed to establish connection to cluster',
        ['env', `LD_PRELOAD=${library}`, `FAKETIME=${offset}`, 'FAKETIME_DONT_FAKE_MONOTONIC=1'],
      );
      expect(line).toMatch(/clock/);
      await machine.stop();
    }
  });

  it('does not start without token and identity, or with a pin that is none', async () => {
    rmSync(machine.dataDir, { recursive: true, force: true });
    const starts = [
      [nodeYaml(machine), /^error: this machine is in no cluster yet .*has no token to join one with/m],
      [
        nodeYaml(machine, 'ca_pin: sha256:abc'),
        /^error: .*node2\.yaml:5:\d+: teleport\.ca_pin: 'sha256:abc' is not/m,
      ],
    ] as const;
    for (const [yaml, message] of starts) {
      machine.configure(yaml);
      const ran = await run(resolve('bin/teleport'), ['start', `--config=${machine.config}`]);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(message);
    }
  });
});

describe('after the auth server was set up anew', () => {
  it('a node says what was refused, leaves its cluster only for the pin, and keeps the old identity', async () => {
    await node.stop();
    await auth.stop();
    auth.configure(authYaml(`${auth.dataDir}-anew`));
    await auth.start();
    const newPin = await pinOf(auth);
    expect(newPin).not.toBe(pin);
    const old = readFileSync(identityIn(node, 'node'), 'utf8');
    node.configure(nodeYaml(node, 'log: {severity: warn}'));
    const env = {
      ...people.env('operator'),
      TOKEN: tokens.node,
      OLD_PIN: pin,
      NEW_PIN: newPin,
      UNTIL: resolve('integration/run-until.sh'),
    };
    await replay('integration/transcripts/auth-set-up-anew.txt', env, fleet.dir);
    const kept = readdirSync(join(node.dataDir, 'proc')).filter((name) => name.includes('.refused-'));
    expect(kept).toHaveLength(1);
    expect(readFileSync(join(node.dataDir, 'proc', kept[0] ?? ''), 'utf8')).toBe(old);
  });

  it('a process that runs says in /readyz why it lost its cluster', async () => {
    const line = await proxy.says(/ERROR \[PROXY\] the identity of this machine .* is refused/);
    expect(line).toContain(`127.0.0.1:${ports.auth}: its certificate is not signed by`);
    expect((await proxy.readyz())?.body).toMatch(/auth is away.*is refused.*SIGHUP/);
  });
});

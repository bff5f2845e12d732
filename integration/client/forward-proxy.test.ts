/*
 * A network that nothing leaves but by an HTTP proxy, which alone knows the name of the cluster's proxy:
 * people and machines come by CONNECT.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import { linkIn } from '../harness/cluster.ts';
import { type ConnectProxy, startConnectProxy } from '../harness/fronts.ts';
import type { Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { acceptLink, password, type PeopleCluster, sshConfigFor } from '../harness/people.ts';
import { run, until } from '../harness/run-program.ts';

const login = userInfo().username;
const name = 'proxy.cluster.test';
const credentials = 'joe:s3cr%t';
let cluster: AuthFleet;
let people: PeopleCluster;
let gate: ConnectProxy;
let front: Machine;
let ports: { readonly web: number; readonly ssh: number };
let through: NodeJS.ProcessEnv;

beforeAll(async () => {
  gate = await startConnectProxy(credentials);
  through = { HTTPS_PROXY: `http://joe:s3cr%25t@127.0.0.1:${gate.port}` };
  cluster = await startAuthFleet();
  const [web = 0, ssh = 0] = await freePorts(2);
  ports = { web, ssh };
  front = await cluster.fleet.add('front1');
  front.configure(
    cluster.joinerYaml(
      front,
      [`auth_token: ${tokens.both}`, `ca_pin: "${await cluster.pin()}"`],
      `ssh_service: {listen_addr: 127.0.0.1:0}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: ["${name}:${web}", "localhost:${web}"]
  ssh_public_addr: ${name}:${ssh}
`,
    ),
  );
  await front.start();
  people = cluster.fleet.people({ auth: cluster.auth, proxy: front, web });
  const added = await people.tctl('users', 'add', 'joe', login);
  await acceptLink(people, linkIn(added.stdout));
});
afterAll(async () => {
  await cluster.fleet.close();
  await gate.close();
});

const logIn = (env: NodeJS.ProcessEnv) =>
  people.tsh('joe', ['login', `--proxy=${name}:${ports.web}`, '--user=joe'], { input: `${password}\n`, env });

describe('people behind an HTTP proxy', () => {
  it('log in, and run commands', async () => {
    expect(await logIn(through)).toMatchObject({ code: 0 });
    expect(gate.connected).toContain(`${name}:${ports.web}`);
    const ran = await people.tsh('joe', ['ssh', `${login}@front1`, 'echo out'], { env: through });
    expect(ran).toMatchObject({ code: 0, stdout: 'out\n' });
    expect(gate.connected).toContain(`${name}:${ports.ssh}`);
  });
  it('use stock ssh by tsh', async () => {
    const printed = await people.tsh('joe', ['config'], { env: through });
    expect(printed.stdout).toContain('tsh proxy ssh');
    const path = join(people.dir, 'config');
    writeFileSync(path, printed.stdout);
    const env = { ...people.env('joe'), ...through };
    expect(await run('ssh', ['-F', path, `${login}@front1.example`, 'echo stock'], { env })).toMatchObject({
      code: 0,
      stdout: 'stock\n',
    });
    // Without the HTTP proxy, ssh goes to the port by itself.
    expect(readFileSync(await sshConfigFor(people, 'joe'), 'utf8')).not.toContain('tsh proxy ssh');
  });
  it('read what is wrong, and no password', async () => {
    const wrong = { HTTPS_PROXY: `http://joe:hidden@127.0.0.1:${gate.port}` };
    const ran = await people.tsh('joe', ['-d', 'ssh', `${login}@front1`, 'true'], { env: wrong });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(
      `the HTTP proxy http://127.0.0.1:${gate.port} wants another user or password`,
    );
    expect(ran.stdout + ran.stderr).not.toContain('hidden');
    const bad = await people.tsh('joe', ['ls'], { env: { HTTPS_PROXY: 'socks5://joe:hidden@h:1' } });
    expect(bad.stderr).toMatch(/^error: HTTPS_PROXY is not the address of an HTTP proxy/);
    expect(bad.stderr).not.toContain('hidden');
  });
  it('go directly where NO_PROXY says so', async () => {
    gate.connected.length = 0;
    const ran = await people.tsh('joe', ['ls'], {
      env: { ...through, NO_PROXY: '10.0.0.0/8,.cluster.test' },
    });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`ENOTFOUND ${name}`);
    expect(gate.connected).toEqual([]);
  });
});

describe('a machine behind an HTTP proxy', () => {
  it('joins and hangs on the proxy through it', async () => {
    const node = await cluster.fleet.add('far1');
    node.configure(`teleport:
  nodename: far1
  data_dir: ${node.dataDir}
  auth_servers: [${name}:${ports.web}]
  auth_token: ${tokens.node}
  ca_pin: "${await cluster.pin()}"
auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {}
`);
    gate.connected.length = 0;
    const entries = Object.entries(through).map(([key, value]) => `${key}=${value ?? ''}`);
    await node.start({ within: ['env', ...entries], args: [] });
    expect(gate.connected).toContain(`${name}:${ports.web}`);
    await until('far1 is reached', async () => {
      const ran = await people.tsh('joe', ['ssh', `${login}@far1`, 'echo far'], { env: through });
      return ran.stdout === 'far\n' ? true : undefined;
    });
    expect(node.allOutput()).not.toContain('s3cr');
  });
});

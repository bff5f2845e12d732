import { spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { badLinkTo, type BadLink } from '../harness/auth-bench.ts';
import { ended, until } from '../harness/run-program.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { createNetwork, type Network } from '../harness/network.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';

const login = userInfo().username;

let fleet: Fleet;
let auth: Machine;
let people: PeopleCluster;
const networks: Network[] = [];
const nodes: Machine[] = [];
/** The way of the second node to auth: through a relay that a test can stall or cut. */
let link: BadLink;

beforeAll(async () => {
  for (const index of [0, 1]) networks.push(await createNetwork(index));
  fleet = createFleet();
  const [authPort = 0, web = 0, ssh = 0] = await freePorts(3);
  auth = await fleet.add('main');
  auth.configure(`teleport:
  nodename: main
  data_dir: ${auth.dataDir}
auth_service:
  listen_addr: 0.0.0.0:${authPort}
  cluster_name: example
  tokens: ["node:static-token-for-nodes"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`);
  await auth.start();
  const status = await fleet.tctl(auth, 'status');
  const pin = /sha256:[0-9a-f]{64}/.exec(status.stdout)?.[0] ?? '';
  link = await badLinkTo({ host: '127.0.0.1', port: authPort }, networks[1]?.here);
  const servers = [`${networks[0]?.here ?? ''}:${authPort}`, `${link.address.host}:${link.address.port}`];
  for (const [index, network] of networks.entries()) {
    const node = await fleet.add(`node${index + 1}`);
    node.configure(`teleport:
  nodename: ${node.name}
  data_dir: ${node.dataDir}
  log: {severity: debug}
  auth_servers: ["${servers[index] ?? ''}"]
  auth_token: static-token-for-nodes
  ca_pin: "${pin}"
auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {listen_addr: "0.0.0.0:3022"}
`);
    nodes.push(node);
    await node.start({ within: network.within });
  }
  people = fleet.people({ auth, proxy: auth, web });
  await createFirstUser(people, 'joe', { logins: [login] });
});
afterAll(async () => {
  await fleet.close();
  await link.close();
  for (const network of networks) await network.close();
});

const echo = async (nodename: string): Promise<string> => {
  const ran = await people.tsh('joe', ['ssh', `${login}@${nodename}`, 'echo', 'here']);
  return ran.stdout + ran.stderr;
};

/** A program on a node that answers line by line. */
function openSession(nodename: string) {
  const child = spawn('tsh', ['ssh', `${login}@${nodename}`, 'cat'], {
    env: people.env('joe'),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let heard = '';
  child.stdout.on('data', (d: Buffer) => (heard += d.toString()));
  child.stderr.on('data', (d: Buffer) => (heard += d.toString()));
  return {
    heard: () => heard,
    write: (line: string) => child.stdin.write(`${line}\n`),
    hears: (line: string) =>
      until(`the session to bring ${line}`, () => (heard.includes(line) ? true : undefined)),
    ended: () => child.exitCode !== null || child.signalCode !== null,
    end: () => ended(child),
  };
}

/** By `/readyz?strict`: a node serves, and says what it lacks, while auth is away. */
const ready = (node: Machine, code: number, what: string): Promise<string> =>
  until(what, async () => {
    const answer = await node.readyz('strict');
    return answer?.code === code ? answer.body : undefined;
  });

describe('nodes in networks of their own', () => {
  it('tell the cluster the address by which they are reached there, and serve', async () => {
    const listed = await people.tsh('joe', ['ls']);
    for (const [index, { there }] of networks.entries())
      expect(listed.stdout).toMatch(new RegExp(`node${index + 1} +${there.replaceAll('.', '\\.')}:3022`));
    for (const { name } of nodes) expect(await echo(name)).toBe('here\n');
  });

  it('keep a session over a cable that is out for a moment, as TCP does', async () => {
    const [network] = networks;
    const session = openSession('node1');
    session.write('before');
    await session.hears('before');
    await network?.plug('down');
    session.write('meanwhile');
    await expect(
      until(
        'an answer over no cable',
        () => (session.heard().includes('meanwhile') ? true : undefined),
        1_500,
      ),
    ).rejects.toThrow('in vain');
    await network?.plug('up');
    await session.hears('meanwhile');
    session.write('after');
    await session.hears('after');
    await session.end();
  });

  it('notice a cable that stays out, say so, and come back by themselves', async () => {
    const [network] = networks;
    const [node] = nodes;
    if (network === undefined || node === undefined) throw new Error('no node');
    await network.plug('down');
    await node.says(
      /the connection to the auth server was lost: this service goes on with what it knows .*silent/,
    );
    expect(await ready(node, 503, 'node1 to say what it lacks')).toContain('auth is away');
    await network.plug('up');
    await ready(node, 200, 'node1 to be well again');
    expect(await echo('node1')).toBe('here\n');
  });
});

describe('a way to auth that stalls or is cut', () => {
  it('leaves the node usable, and sessions alone: they do not go that way', async () => {
    const [, node] = nodes;
    if (node === undefined) throw new Error('no node');
    const session = openSession('node2');
    session.write('before');
    await session.hears('before');
    link.stall();
    await node.says(/the connection to the auth server was lost: this service goes on with what it knows/);
    expect(await ready(node, 503, 'node2 to say what it lacks')).toContain('auth is away');
    session.write('without auth');
    await session.hears('without auth');
    expect(await echo('node2')).toBe('here\n');
    link.cut();
    await ready(node, 200, 'node2 to be well again');
    for (let n = 0; n < 5; n++) {
      link.cut();
      await ready(node, 200, 'node2 to be well again');
    }
    session.write('still here');
    await session.hears('still here');
    await session.end();
    expect(node.output()).not.toContain('is refused');
  });

  it('keeps a new start waiting, which then needs no token and no pin', async () => {
    const [, network] = networks;
    const [, node] = nodes;
    if (node === undefined || network === undefined) throw new Error('no node');
    await node.stop();
    link.stall();
    node.spawn({ within: network.within });
    await node.says(/Node failed to establish connection to cluster: .*no answer in time/);
    expect((await node.readyz())?.code).toBe(400);
    link.cut();
    await ready(node, 200, 'node2 to serve');
    expect(await echo('node2')).toBe('here\n');
  });
});

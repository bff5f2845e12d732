import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../harness/run-program.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { createNetwork, type Network } from '../harness/network.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';

const login = userInfo().username;
let fleet: Fleet;
let auth: Machine;
let node: Machine;
let network: Network;
let people: PeopleCluster;
/** A heartbeat is said once a minute, and again after a moment when a connection was lost. */
const withinMs = 90_000;

beforeAll(async () => {
  network = await createNetwork(6);
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
  node = await fleet.add('roamer');
  node.configure(`teleport:
  nodename: roamer
  data_dir: ${node.dataDir}
  auth_servers: ["${network.here}:${authPort}"]
  auth_token: static-token-for-nodes
auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {listen_addr: "0.0.0.0:3022"}
`);
  await node.start({ within: network.within });
  people = fleet.people({ auth, proxy: auth, web });
  await createFirstUser(people, 'joe', { logins: [login] });
});
afterAll(async () => {
  await fleet.close();
  await network.close();
});

const echo = async (): Promise<string> => {
  const ran = await people.tsh('joe', ['ssh', `${login}@roamer`, 'echo', 'here']);
  return ran.stdout + ran.stderr;
};

describe('a machine that gets another address', () => {
  it('is reached there within a heartbeat, without a restart', { timeout: 300_000 }, async () => {
    expect(await echo()).toBe('here\n');
    for (let n = 0; n < 2; n++) {
      const address = await network.readdress();
      const began = performance.now();
      await until(
        `the cluster to know ${address}`,
        async () => ((await people.tsh('joe', ['ls'])).stdout.includes(`${address}:3022`) ? true : undefined),
        withinMs,
      );
      console.log(`${address} was known after ${Math.round((performance.now() - began) / 1_000)} s`);
      expect(await echo()).toBe('here\n');
    }
    expect(node.output()).not.toMatch(/heartbeat: .*(cannot be announced|cannot announce)/);
  });
});

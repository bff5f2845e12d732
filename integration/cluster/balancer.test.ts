import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import { type Balancer, type Behind, startBalancer } from './balancer.ts';
import { until } from '../harness/run-program.ts';
import type { Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';

const login = userInfo().username;
let cluster: AuthFleet;
let people: PeopleCluster;
const proxies: Machine[] = [];
/** Asks whether to send connections, and whether all is well. */
let balancers: { readonly asks: Balancer; readonly asksStrictly: Balancer } | undefined;

beforeAll(async () => {
  cluster = await startAuthFleet();
  const behind: Behind[] = [];
  for (const name of ['proxy1', 'proxy2']) {
    const [web = 0, ssh = 0] = await freePorts(2);
    const proxy = await cluster.fleet.add(name);
    proxies.push(proxy);
    behind.push({ name, ports: { web, ssh }, diagAddress: proxy.diagAddress() });
  }
  const asks = await startBalancer(behind, '/readyz');
  const asksStrictly = await startBalancer(behind, '/readyz?strict');
  if (asks === undefined || asksStrictly === undefined) return;
  balancers = { asks, asksStrictly };
  const lines = [`auth_token: ${tokens.both}`, `ca_pin: "${await cluster.pin()}"`];
  for (const [i, { ports }] of behind.entries()) {
    const services = `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ports.ssh}
  web_listen_addr: 127.0.0.1:${ports.web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  node_addresses: [127.0.0.1]
  ssh_public_addr: localhost:${asks.ports.ssh}
`;
    const proxy = proxies[i];
    proxy?.configure(cluster.joinerYaml(proxy, lines, services));
    await proxy?.start();
  }
  const node = await cluster.fleet.add('node1');
  node.configure(cluster.nodeYaml(node, ...lines));
  await node.start();
  const [proxy] = proxies;
  if (proxy === undefined) throw new Error('there is no proxy');
  people = cluster.fleet.people({ auth: cluster.auth, proxy, web: behind[0]?.ports.web ?? 0 });
  await createFirstUser(people, 'joe', { logins: [login] });
}, 300_000);
afterAll(async () => {
  await balancers?.asks.close();
  await balancers?.asksStrictly.close();
  await cluster.fleet.close();
});

/** Waits until HAProxy sees each proxy so, on each of its ports. */
const sees = (balancer: Balancer, states: readonly string[]): Promise<true> =>
  until(`HAProxy to see ${states.join()}`, async () => {
    const seen = await balancer.states();
    return proxies.every(({ name }, i) =>
      ['web', 'ssh'].every((port) => seen.get(`${name} ${port}`) === states[i]),
    )
      ? true
      : undefined;
  });

const echo = async (): Promise<string> => {
  const { stdout, stderr } = await people.tsh('joe', ['ssh', `${login}@node1`, 'echo', 'here']);
  return stdout + stderr;
};

describe('HAProxy before two proxies', () => {
  it('keeps both while auth is away: who has a certificate comes through', async (context) => {
    if (balancers === undefined) {
      context.skip('HAProxy cannot be had here');
      return;
    }
    const { asks, asksStrictly } = balancers;
    for (const balancer of [asks, asksStrictly]) await sees(balancer, ['UP', 'UP']);
    expect(await echo()).toBe('here\n');
    await cluster.auth.stop();
    // Whoever asks strictly learns of it, and by then every proxy knows.
    await sees(asksStrictly, ['DOWN', 'DOWN']);
    for (const proxy of proxies)
      expect(await proxy.readyz()).toMatchObject({
        code: 200,
        body: expect.stringContaining('nobody can log in') as string,
      });
    await sees(asks, ['UP', 'UP']);
    for (let n = 0; n < 4; n++) expect(await echo()).toBe('here\n');
    // One that never folded the cluster since its start can let nobody in.
    await proxies[0]?.stop();
    proxies[0]?.spawn();
    await proxies[0]?.says('failed to establish connection');
    await sees(asks, ['DOWN', 'UP']);
    for (let n = 0; n < 4; n++) expect(await echo()).toBe('here\n');
    await cluster.auth.start();
    for (const balancer of [asks, asksStrictly]) await sees(balancer, ['UP', 'UP']);
    expect(await echo()).toBe('here\n');
  });
});

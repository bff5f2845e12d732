import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Balanced, login, startBalanced } from '../cluster/behind-balancer.ts';
import { tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { createFirstUser } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { tunnelYaml } from '../tunnel/tunnel-fleet.ts';
import { type LeafBox, startLeafBox } from './leaf-box.ts';

/* Two proxies behind HAProxy or nginx, and a node and a leaf that reach nothing but its web port. */

let balanced: Balanced;
let node: Machine;
let box: LeafBox;
let port: number;

beforeAll(async () => {
  // Where links have a port of their own, nobody outside reaches it.
  balanced = await startBalanced('tunnel_public_addr: localhost:1');
  const { cluster, people } = balanced;
  const { auth, fleet } = cluster;
  ({ web: port } = people.ports);
  await auth.stop();
  const strategy = '  tunnel_strategy: {type: proxy_peering, agent_connection_count: 1}\n';
  auth.configure(cluster.authYaml().replace('auth_service:\n', `auth_service:\n${strategy}`));
  await auth.start();
  await balanced.serve('haproxy-https.cfg', 'proxy-https.yaml');
  await createFirstUser(people, 'alice', { logins: [login] });
  node = await fleet.add('far1');
  const place = `proxy_server: localhost:${port}`;
  node.configure(
    tunnelYaml(
      node,
      place,
      `auth_token: ${tokens.node}`,
      `ca_pin: "${await cluster.pin()}"`,
      'log: {severity: debug}',
    ),
  );
  await node.start();
  box = await startLeafBox(fleet);
  // The token goes to an auth server in TLS of its own, inside of what the balancer reads.
  await box.trust({ people, name: 'example', port });
}, 240_000);
afterAll(async () => {
  await box.leaf.end();
  await balanced.close();
});

describe.each([
  // Those that end TLS are reached by an upgraded connection alone.
  { balancer: 'haproxy-https.cfg', proxy: 'proxy-https.yaml', way: 'upgraded' },
  { balancer: 'haproxy-tcp.cfg', proxy: 'proxy-tcp.yaml', way: 'any' },
  { balancer: 'nginx-https.conf', proxy: 'proxy-https.yaml', way: 'upgraded' },
  { balancer: 'haproxy-proxy-protocol.cfg', proxy: 'proxy-proxy-protocol.yaml', way: 'any' },
  { balancer: 'nginx-stream.conf', proxy: 'proxy-proxy-protocol.yaml', way: 'any' },
])('behind $balancer', ({ balancer, proxy, way }) => {
  beforeAll(async () => {
    if (balancer === 'haproxy-https.cfg') return;
    // Those that run know the proxies' own addresses, which are reached here.
    await Promise.all([node.stop(), box.leaf.end()]);
    await balanced.serve(balancer, proxy);
    await Promise.all([node.start(), box.leaf.machine.start({ args: box.leaf.args })]);
  }, 120_000);

  const wayOf = (machine: Machine): string | undefined =>
    machine
      .output()
      .split('\n')
      .findLast((line) => line.includes('a way to the cluster was found'));

  it.each([
    ['a node', ['ssh', `${login}@far1`, 'echo in'], () => node],
    ['a leaf', ['ssh', '--cluster=leaf', `${login}@leaf-node`, 'echo in'], () => box.leaf.machine],
  ] as const)('%s hangs on a proxy by the web port alone, and is reached', async (_what, args, machine) => {
    await until('it to be reached', async () =>
      (await balanced.people.tsh('alice', [...args])).stdout === 'in\n' ? true : undefined,
    );
    if (way === 'upgraded') expect(wayOf(machine())).toContain(`https://localhost:${port}/v1/webapi/connect`);
  });
});

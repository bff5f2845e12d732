import type { Fleet, Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import type { PeopleCluster } from '../harness/people.ts';
import { type Reloadable, reloadable } from '../restart/reloadable.ts';
import { create, guestRole, tctl, trustedYaml } from './trusting.ts';

/** The cluster `leaf`, of one machine, beside those of a root. */
export interface LeafBox {
  readonly leaf: Reloadable;
  readonly people: PeopleCluster;
  /** It trusts the root, whose proxies answer at this port. */
  trust(root: {
    readonly people: PeopleCluster;
    readonly name: string;
    readonly port: number;
  }): Promise<void>;
}

export async function startLeafBox(fleet: Fleet): Promise<LeafBox> {
  const leaf = reloadable(await fleet.add('leafbox'));
  const [auth = 0, ssh = 0, proxySsh = 0, web = 0] = await freePorts(4);
  leaf.machine.configure(`teleport: {nodename: leaf-node, data_dir: ${leaf.machine.dataDir}}
auth_service:
  listen_addr: 127.0.0.1:${auth}
  cluster_name: leaf
  authentication: {second_factor: off}
ssh_service:
  listen_addr: 127.0.0.1:${ssh}
  labels: {env: test}
proxy_service:
  listen_addr: 127.0.0.1:${proxySsh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
`);
  await leaf.machine.start({ args: leaf.args });
  const people = fleet.people({ auth: leaf.machine, proxy: leaf.machine, web });
  await create(people, 'guest', ...guestRole);
  return {
    leaf,
    people,
    trust: async ({ people: root, name, port }) => {
      const printed = await tctl(root, 'tokens', 'add', '--type=trusted_cluster', '--ttl=10m');
      const token = /The cluster invite token: (\S+)/.exec(printed)?.[1] ?? printed;
      const pin = /sha256:[0-9a-f]{64}/.exec(await tctl(root, 'status'))?.[0] ?? '';
      const more = [`token: "${token}"`, `ca_pin: "${pin}"`];
      await create(people, 'trusted', ...trustedYaml({ name, web: port, tunnel: port }, true, ...more));
    },
  };
}

/** Host ids of the proxies of a root that it hangs on, by its metrics. */
export async function hangsOnRoot(leaf: Machine, root: string): Promise<readonly string[]> {
  const metrics = await fetch(`http://${leaf.diagAddress()}/metrics`).then(
    (answer) => answer.text(),
    () => '', // between two processes
  );
  const lines = metrics.matchAll(/^proxy_root_tunnels\{cluster="([^"]+)",proxy="([0-9a-f-]+)"\} 1$/gm);
  return [...lines].flatMap(([, cluster, proxy = '']) => (cluster === root ? [proxy] : [])).sort();
}

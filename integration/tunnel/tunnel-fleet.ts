import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, type PeopleCluster } from '../harness/people.ts';
import { until } from '../harness/run-program.ts';
import { type Reloadable, reloadable } from '../restart/reloadable.ts';
import { type TurnBalancer, turnBalancer } from './turn-balancer.ts';

export interface Front {
  readonly proxy: Reloadable;
  readonly ports: { readonly web: number; readonly proxySsh: number; readonly peer: number };
  readonly people: PeopleCluster;
  readonly hostId: () => string;
}

/**
 * An auth server, proxies behind a balancer that knows their web ports alone, and nodes that know the
 * balancer.
 */
export interface TunnelFleet {
  readonly cluster: AuthFleet;
  readonly fronts: readonly Front[];
  readonly balancer: TurnBalancer;
  /** A node without a port. @param place default: the balancer. */
  addNode(
    name: string,
    options?: {
      readonly place?: string;
      readonly services?: string;
      /** argv before the daemon's: on a network of its own. */
      readonly within?: readonly string[];
    },
  ): Promise<Reloadable>;
  /** The configuration of a proxy. */
  yamlOf(front: Front): string;
  /** Host ids of the proxies that a node hangs on, by its metrics. */
  hangsOn(node: Machine): Promise<ReadonlySet<string>>;
  close(): Promise<void>;
}

/** A node that knows only where a proxy is, and has no port of its own. */
export const tunnelYaml = (machine: Machine, place: string, ...lines: string[]): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  ${place}
${lines.map((line) => `  ${line}\n`).join('')}auth_service: {enabled: no}
proxy_service: {enabled: no}
ssh_service: {labels: {place: far}}
`;

/** @param more lines of `proxy_service` of each. */
export async function startTunnelFleet(count: number, more: readonly string[] = []): Promise<TunnelFleet> {
  const cluster = await startAuthFleet();
  const started: Reloadable[] = [];
  const fronts: Front[] = [];
  const pin = await cluster.pin();
  for (let i = 1; i <= count; i++) {
    const proxy = reloadable(await cluster.fleet.add(`front${i}`));
    const [web = 0, proxySsh = 0, peer = 0] = await freePorts(3);
    proxy.machine.configure(
      cluster.joinerYaml(
        proxy.machine,
        [`auth_token: ${tokens.both}`, `ca_pin: "${pin}"`],
        `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${proxySsh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:${web}
  peer_listen_addr: 127.0.0.1:${peer}
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${proxySsh}
${more.map((line) => `  ${line}\n`).join('')}`,
      ),
    );
    await proxy.machine.start({ args: proxy.args });
    started.push(proxy);
    fronts.push({
      proxy,
      ports: { web, proxySsh, peer },
      people: cluster.fleet.people({ auth: cluster.auth, proxy: proxy.machine, web }),
      hostId: () => readFileSync(join(proxy.machine.dataDir, 'host_uuid'), 'utf8').trim(),
    });
  }
  const balancer = await turnBalancer(fronts.map(({ ports }) => ports.web));
  return {
    cluster,
    fronts,
    balancer,
    addNode: async (
      name,
      { place = `auth_servers: [127.0.0.1:${balancer.port}]`, services = '', within = [] } = {},
    ) => {
      const node = reloadable(await cluster.fleet.add(name));
      started.push(node);
      const yaml = tunnelYaml(node.machine, place, `auth_token: ${tokens.node}`, `ca_pin: "${pin}"`);
      node.machine.configure(services === '' ? yaml : yaml.replace(/^ssh_service: .*$/m, services));
      await node.machine.start({ args: node.args, within });
      return node;
    },
    yamlOf: ({ proxy }) => readFileSync(proxy.machine.config, 'utf8'),
    hangsOn: (node) => hangsOn(node),
    close: async () => {
      for (const one of started.toReversed()) await one.end();
      await cluster.fleet.close();
      await balancer.close();
    },
  };
}

async function hangsOn(node: Machine): Promise<ReadonlySet<string>> {
  const metrics = await fetch(`http://${node.diagAddress()}/metrics`).then(
    (answer) => answer.text(),
    () => '', // between two processes
  );
  const lines = [...metrics.matchAll(/^node_tunnels\{proxy="([0-9a-f-]+)"\} 1$/gm)];
  return new Set(lines.map(([, proxy = '']) => proxy));
}

/** Waits until the node hangs on exactly these. */
export const hangingOn = (fleet: TunnelFleet, node: Reloadable, fronts: readonly Front[]): Promise<true> =>
  until(`${node.machine.name} to hang on ${fronts.length} proxies`, async () => {
    const held = await fleet.hangsOn(node.machine);
    return held.size === fronts.length && fronts.every(({ hostId }) => held.has(hostId())) ? true : undefined;
  });

/** One proxy, `far1` that hangs on it, and alice, who may log in there as whoever runs the tests. */
export async function startTunnelPair(): Promise<{ fleet: TunnelFleet; one: Front; node: Reloadable }> {
  const fleet = await startTunnelFleet(1);
  const [one] = fleet.fronts;
  if (one === undefined) throw new Error('a proxy');
  await createFirstUser(one.people, 'alice', { logins: [userInfo().username] });
  const node = await fleet.addNode('far1');
  await hangingOn(fleet, node, [one]);
  return { fleet, one, node };
}

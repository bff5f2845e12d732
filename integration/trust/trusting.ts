import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';

/** A cluster of one machine, whose node is `<name>-node`. */
export const clusterNamed = (
  name: string,
  more: (yaml: string) => string = (text) => text,
): Promise<Cluster> =>
  startCluster({
    yaml: (text) =>
      more(
        text
          .replace('cluster_name: example', `cluster_name: ${name}`)
          .replace('nodename: node1', `nodename: ${name}-node`),
      ),
  });

/** What `tctl` prints. */
export async function tctl(cluster: Pick<Cluster, 'tctl'>, ...args: string[]): Promise<string> {
  const ran = await cluster.tctl(...args);
  if (ran.code !== 0) throw new Error(`tctl ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

/** Applies a resource. */
export async function create(
  cluster: Pick<Cluster, 'tctl' | 'dir'>,
  name: string,
  ...lines: readonly string[]
): Promise<string> {
  const file = join(cluster.dir, `${name}.yaml`);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return tctl(cluster, 'create', '-f', file);
}

/** Role `guest`, for people of a root: any login of theirs, on every node of the harness. */
export const guestRole = [
  'kind: role',
  'version: v3',
  'metadata: {name: guest}',
  "spec: {allow: {logins: ['{{internal.logins}}'], node_labels: {env: test}}}",
];

/** @param enabled whether people of the root are let in. @param more lines of `spec`: the token, the pin. */
export const trustedYaml = (
  root: { readonly name: string; readonly web: number; readonly tunnel: number },
  enabled: boolean,
  ...more: readonly string[]
): readonly string[] => [
  'kind: trusted_cluster',
  'version: v2',
  `metadata: {name: ${root.name}}`,
  'spec:',
  `  enabled: ${String(enabled)}`,
  '  role_map: [{remote: admin, local: guest}]',
  `  web_proxy_addr: localhost:${root.web}`,
  `  tunnel_addr: localhost:${root.tunnel}`,
  ...more.map((line) => `  ${line}`),
];

export const login = userInfo().username;

/** The leaf trusts the root, and lets its admins in as guests. Resolves when it is online there. */
export async function trustRoot(
  leaf: Cluster,
  root: Cluster,
  names: { readonly root: string; readonly leaf: string },
): Promise<void> {
  const printed = await tctl(root, 'tokens', 'add', '--type=trusted_cluster', '--ttl=10m');
  const token = /The cluster invite token: (\S+)/.exec(printed)?.[1] ?? printed;
  const pin = /sha256:[0-9a-f]{64}/.exec(await tctl(root, 'status'))?.[0] ?? '';
  await create(leaf, 'guest', ...guestRole);
  const { web } = root.ports;
  const place = { name: names.root, web, tunnel: web };
  await create(leaf, 'trusted', ...trustedYaml(place, true, `token: "${token}"`, `ca_pin: "${pin}"`));
  await isOnline(root, names.leaf);
}

export const isOnline = (root: Cluster, leaf: string): Promise<true> =>
  until(`${leaf} to be online`, async () =>
    new RegExp(`^${leaf} +online `, 'm').test(await tctl(root, 'get', 'rc', '--format=text'))
      ? true
      : undefined,
  );

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { joinCluster } from '../../src/api/join-client.ts';
import type { HostPort } from '../../src/base/service.ts';
import { realWorld } from '../../src/base/world.ts';
import { createFleet, type Fleet, type Machine } from './machines.ts';
import { freePorts } from './own-ports.ts';

/** What a machine does besides auth: what is not named is off. */
export interface Services {
  readonly node?: {
    /** Default: any. */
    readonly port?: number;
    readonly publicAddr?: string;
  };
  readonly proxy?: ProxyPorts;
}

export interface ProxyPorts {
  readonly ssh: number;
  readonly web: number;
}

/** How one machine differs from the usual one. */
export interface MachineWish extends Services {
  /** Default: the name of the machine. */
  readonly nodename?: string;
  /** Further lines of the section `teleport`. */
  readonly teleport?: readonly string[];
}

export interface AuthWish extends MachineWish {
  /** What stands between the braces of `storage: {}`, without the key file; default: a directory for all. */
  readonly store?: string;
  /** Further lines of the section `auth_service`. */
  readonly authService?: readonly string[];
}

export interface JoinerWish extends MachineWish {
  /** Whether it has the token; default: it has. */
  readonly hasToken?: boolean;
}

/**
 * A cluster of machines, put together piece by piece. What it adds is configured and not started; the text of
 * a configuration is to be had as well, for a machine that gets another one.
 */
export interface BuiltCluster {
  readonly fleet: Fleet;
  /** Of the auth servers, in their order. */
  readonly addresses: readonly HostPort[];
  /** For nodes and proxies. */
  readonly token: string;
  /** The nth auth server, from 1, by the name `auth<n>`. */
  authServer(n: number, wish?: AuthWish): Promise<Machine>;
  /** A machine that joins: a node, a proxy, or both. */
  joiner(name: string, wish: JoinerWish): Promise<Machine>;
  joinerYaml(machine: Machine, wish: JoinerWish): string;
  /** `sha256:…`, as `tctl status` on that auth server prints it now. @throws when it prints none. */
  pin(auth: Machine): Promise<string>;
  /** A node that is no process joins. */
  joinOnce(pin: string): Promise<void>;
}

/** Both ports of a proxy, free ones. */
export async function proxyPorts(): Promise<ProxyPorts> {
  const [ssh = 0, web = 0] = await freePorts(2);
  return { ssh, web };
}

export async function buildCluster(authServers = 1): Promise<BuiltCluster> {
  const fleet = createFleet();
  const addresses = (await freePorts(authServers)).map((port) => ({ host: '127.0.0.1', port }));
  const token = 'static-token-for-both';
  const list = `auth_servers: [${addresses.map(({ host, port }) => `"${host}:${port}"`).join(', ')}]`;

  const authYaml = (machine: Machine, port: number, wish: AuthWish): string => {
    const store = wish.store ?? `type: dir, path: ${join(fleet.dir, 'store')}`;
    const storage = `storage: {${store}, key_file: ${join(fleet.dir, 'keyring')}}`;
    return [
      ...teleportSection(machine, wish, [list, storage]),
      'auth_service:',
      `  listen_addr: 127.0.0.1:${port}`,
      '  cluster_name: example',
      `  tokens: ["proxy,node:${token}"]`,
      '  authentication: {second_factor: off}',
      ...indented(wish.authService),
      ...serviceSections(wish),
    ].join('\n');
  };
  const built: BuiltCluster = {
    fleet,
    addresses,
    token,
    authServer: async (n, wish = {}) => {
      const address = addresses[n - 1];
      if (address === undefined) throw new Error(`the cluster has ${authServers} auth servers, no ${n}`);
      const machine = await fleet.add(`auth${n}`);
      machine.configure(authYaml(machine, address.port, wish));
      return machine;
    },
    joiner: async (name, wish) => {
      const machine = await fleet.add(name);
      machine.configure(built.joinerYaml(machine, wish));
      return machine;
    },
    joinerYaml: (machine, wish) => {
      const lines = (wish.hasToken ?? true) ? [list, `auth_token: ${token}`] : [list];
      return [
        ...teleportSection(machine, wish, lines),
        'auth_service: {enabled: no}',
        ...serviceSections(wish),
      ].join('\n');
    },
    pin: async (auth) => {
      const { stdout, stderr } = await fleet.tctl(auth, 'status');
      const pin = /sha256:[0-9a-f]{64}/.exec(stdout)?.[0];
      if (pin === undefined) throw new Error(`no pin in: ${stdout}${stderr}`);
      return pin;
    },
    joinOnce: async (pin) => {
      const host = {
        hostId: randomUUID(),
        nodename: `joiner-${randomUUID()}`,
        role: 'Node',
        additionalPrincipals: [],
        key: generateKeyPairSync('ed25519').privateKey,
        token: () => token,
      } as const;
      await joinCluster({ servers: addresses, pins: [pin] }, host, realWorld);
    },
  };
  return built;
}

const indented = (lines: readonly string[] = []): string[] => lines.map((line) => `  ${line}`);

const teleportSection = (machine: Machine, wish: MachineWish, lines: readonly string[]): string[] => [
  'teleport:',
  `  nodename: ${wish.nodename ?? machine.name}`,
  `  data_dir: ${machine.dataDir}`,
  ...indented(lines),
  ...indented(wish.teleport),
];

function serviceSections({ node, proxy }: Services): string[] {
  const publicAddr = node?.publicAddr === undefined ? '' : `, public_addr: "${node.publicAddr}"`;
  return [
    node === undefined
      ? 'ssh_service: {enabled: no}'
      : `ssh_service: {listen_addr: "127.0.0.1:${node.port ?? 0}"${publicAddr}}`,
    ...(proxy === undefined
      ? ['proxy_service: {enabled: no}']
      : [
          'proxy_service:',
          `  listen_addr: 127.0.0.1:${proxy.ssh}`,
          `  web_listen_addr: 127.0.0.1:${proxy.web}`,
          '  tunnel_listen_addr: 127.0.0.1:0',
          '  peer_listen_addr: 127.0.0.1:0',
          `  public_addr: localhost:${proxy.web}`,
          `  ssh_public_addr: localhost:${proxy.ssh}`,
        ]),
    '',
  ];
}

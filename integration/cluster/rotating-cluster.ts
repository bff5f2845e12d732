import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { joinCluster, type JoinTrust } from '../../src/api/join-client.ts';
import { parseHostPort } from '../../src/base/addresses.ts';
import { formatHostPort, type HostPort } from '../../src/base/service.ts';
import { realWorld } from '../../src/base/world.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import type { PeopleCluster } from '../harness/people.ts';
import { type Ran, until } from '../harness/run-program.ts';
import { type Reloadable, reloadable } from '../restart/reloadable.ts';

const staticToken = 'static-token-for-both';
export const login = userInfo().username;

/** Two auth servers on one store, proxies, and nodes, each a process of its own. */
export interface RotatingCluster {
  readonly fleet: Fleet;
  /** Where the two auth servers listen. */
  readonly servers: readonly HostPort[];
  readonly auths: readonly Machine[];
  readonly proxies: readonly Machine[];
  readonly nodes: readonly Machine[];
  /** By proxy, in their order: people of the same names, who log in at each. */
  readonly people: readonly PeopleCluster[];
  /** By proxy: where it is spoken SSH with. */
  readonly proxySsh: readonly number[];
  tctl(...args: string[]): Promise<Ran>;
  /**
   * Takes a step by hand, and waits for hosts; what it printed. Where the auth server left before it answered
   * the command says that the step was taken. @throws Error when it was not
   */
  rotate(phase: string, ...args: string[]): Promise<string>;
  /** Waits until these hosts alone lack the phase that is current, by name in order; none: all have it. */
  onlyLack(...names: readonly string[]): Promise<void>;
  /** The pin that `tctl status` shows at this moment. */
  pin(): Promise<string>;
  /** A machine joins, with the pin of this moment where nothing else is given. */
  join(trust?: Pick<JoinTrust, 'pins' | 'known'>): Promise<void>;
  /** A node that joins; not started. */
  addNode(name: string, joining?: NodeJoining): Promise<Machine>;
  /** `host:port` at which a node is reached. */
  nodeAddress(name: string): Promise<HostPort>;
  /** A machine of the cluster, to be started, killed and reloaded. */
  reloadable(machine: Machine): Reloadable;
  close(): Promise<void>;
}

/** How a node comes into the cluster: left out, as the others do. */
export interface NodeJoining {
  readonly servers?: readonly HostPort[];
  readonly token?: string;
  readonly caPin?: string;
}

export interface RotatingOptions {
  /** What stands between the braces of `storage: {}`; default: a directory. */
  readonly store?: string;
  readonly nodes: number;
  /** Default: two. */
  readonly proxies?: number;
  /** What auth servers are started by, in the place of this tree's `bin/teleport`. */
  readonly authProgram?: (name: string) => string;
}

export async function startRotatingCluster(options: RotatingOptions): Promise<RotatingCluster> {
  const fleet = createFleet();
  const reloadables = new Map<Machine, Reloadable>();
  const reloadableOf = (machine: Machine): Reloadable => {
    const known = reloadables.get(machine) ?? reloadable(machine);
    reloadables.set(machine, known);
    return known;
  };
  const start = (machine: Machine): Promise<void> => machine.start({ args: reloadableOf(machine).args });
  const close = async (): Promise<void> => {
    await Promise.all([...reloadables.values()].map((one) => one.end()));
    await fleet.close();
  };
  try {
    const authPorts = await freePorts(2);
    const servers = authPorts.map((port) => ({ host: '127.0.0.1', port }));
    const auths = await addAuths(fleet, servers, options);
    const [first] = auths;
    if (first === undefined) throw new Error('no auth server');
    for (const auth of auths) await start(auth);
    const tctl = (...args: string[]): Promise<Ran> => fleet.tctl(first, ...args);
    const pin = async (): Promise<string> =>
      /sha256:[0-9a-f]{64}/.exec((await tctl('status')).stdout)?.[0] ?? '(no pin)';
    const known = await pin();
    const addNode = async (name: string, joining: NodeJoining = {}): Promise<Machine> => {
      const machine = await fleet.add(name);
      const services = 'ssh_service: {listen_addr: "127.0.0.1:0"}\nproxy_service: {enabled: no}\n';
      machine.configure(joiner(machine, { servers, token: staticToken, caPin: known, ...joining }, services));
      return machine;
    };
    const webs = await freePorts(options.proxies ?? 2);
    const proxySsh = await freePorts(webs.length);
    const proxies = await Promise.all(
      webs.map(async (web, i) => {
        const machine = await fleet.add(`proxy${i + 1}`);
        const services = proxyServices(web, proxySsh[i] ?? 0);
        machine.configure(joiner(machine, { servers, token: staticToken, caPin: known }, services));
        return machine;
      }),
    );
    const nodes = await Promise.all(Array.from({ length: options.nodes }, (_, n) => addNode(`node${n + 1}`)));
    await Promise.all([...proxies, ...nodes].map(start));
    return {
      ...{ fleet, servers, auths, proxies, nodes, proxySsh, tctl, pin, addNode, close },
      people: proxies.map((proxy, i) => fleet.people({ auth: first, proxy, web: webs[i] ?? 0 })),
      rotate: async (phase, ...args) => {
        const ran = await tctl('auth', 'rotate', `--phase=${phase}`, '--manual', ...args);
        if (ran.code !== 0) throw new Error(`the step to ${phase} was refused: ${ran.stdout}${ran.stderr}`);
        return ran.stdout + ran.stderr;
      },
      onlyLack: async (...names) => {
        await until(
          `the hosts that lack the phase to be: ${names.join(', ') || 'none'}`,
          async () => ((await lacking(tctl)).join() === names.join() ? true : undefined),
          followLimit,
        );
      },
      join: async (trust) => joinOnce({ servers, ...(trust ?? { pins: [await pin()] }) }),
      nodeAddress: async (name) => {
        const { stdout } = await tctl('nodes', 'ls');
        const line = stdout.split('\n').find((one) => one.startsWith(`${name} `)) ?? '';
        return parseHostPort(/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? '', 0);
      },
      reloadable: reloadableOf,
    };
  } catch (e) {
    await close();
    throw e;
  }
}

/** On a machine that is busy with other tests. */
const followLimit = 120_000;

/** Names of the hosts that are waited for, each once for all its roles and both authorities. */
async function lacking(tctl: RotatingCluster['tctl']): Promise<readonly string[]> {
  const { code, stdout, stderr } = await tctl('auth', 'rotate', '--status', '--format=json');
  if (code !== 0) throw new Error(`tctl auth rotate --status: ${stderr}`);
  const rotations = JSON.parse(stdout) as readonly { lagging: readonly { nodename: string }[] }[];
  return [...new Set(rotations.flatMap(({ lagging }) => lagging.map(({ nodename }) => nodename)))].sort();
}

const listOf = (servers: readonly HostPort[]): string => servers.map(formatHostPort).join(', ');

async function addAuths(
  fleet: Fleet,
  servers: readonly HostPort[],
  { store, authProgram }: RotatingOptions,
): Promise<readonly Machine[]> {
  const place = store ?? `type: dir, path: ${join(fleet.dir, 'store')}`;
  return Promise.all(
    servers.map(async (server, i) => {
      const name = `auth${i + 1}`;
      const machine = await fleet.add(name, authProgram?.(name));
      machine.configure(`teleport:
  nodename: ${name}
  data_dir: ${machine.dataDir}
  auth_servers: [${listOf(servers)}]
  log: {severity: debug}
  storage: {${place}, key_file: ${join(fleet.dir, 'keyring')}}
auth_service:
  listen_addr: ${formatHostPort(server)}
  cluster_name: example
  tokens: ["proxy,node:${staticToken}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`);
      return machine;
    }),
  );
}

const joiner = (
  machine: Machine,
  { servers, token, caPin }: Required<NodeJoining>,
  services: string,
): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  auth_servers: [${listOf(servers)}]
  auth_token: ${token}
  log: {severity: debug}
  ca_pin: "${caPin}"
auth_service: {enabled: no}
${services}`;

const proxyServices = (web: number, ssh: number): string => `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  tunnel_listen_addr: 127.0.0.1:0
  peer_listen_addr: 127.0.0.1:0
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`;

async function joinOnce(trust: JoinTrust): Promise<void> {
  await joinCluster(
    trust,
    {
      hostId: randomUUID(),
      nodename: `joiner-${randomUUID()}`,
      role: 'Node',
      additionalPrincipals: [],
      key: generateKeyPairSync('ed25519').privateKey,
      token: () => staticToken,
    },
    realWorld,
  );
}

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { userInfo } from 'node:os';
import type { AuthClient } from '../../src/api/client.ts';
import { joinCluster } from '../../src/api/join-client.ts';
import { parseHostPort } from '../../src/base/addresses.ts';
import { exchange } from '../../src/base/http-exchange.ts';
import { realWorld } from '../../src/base/world.ts';
import type { HostPort } from '../../src/base/service.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { loadIdentity } from '../../src/process/identity/identity-store.ts';
import { badLinkTo, clientOf, newKey } from '../harness/auth-bench.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { createFleet, type Fleet, type Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, password, type PeopleCluster } from '../harness/people.ts';

const token = 'static-token-for-both';
export const login = userInfo().username;

/** An auth server, and the wires between it and its store. */
export interface CuttableAuth {
  readonly machine: Machine;
  readonly address: HostPort;
  /** Nothing goes to or from its store any more; connections stay open and silent. */
  cutOff(): void;
  /** What was open breaks; what is dialled now passes. */
  heal(): void;
}

/** Three auth servers on an etcd of three members, a proxy and a node that list all of them. */
export interface ThreeAuths {
  readonly auths: readonly CuttableAuth[];
  readonly etcd: EtcdCluster;
  readonly fleet: Fleet;
  readonly node: Machine;
  readonly proxy: Machine;
  readonly people: PeopleCluster;
  /** As `tctl` does: with the admin identity of the first, and all three in the list. */
  admin(): AuthClient;
  /** A login at the proxy's web port, as tsh sends it. @throws when it is not answered 200. */
  logIn(username: string): Promise<void>;
  /** A machine of its own joins. */
  join(): Promise<void>;
  /** A node that joins; not started. */
  anotherNode(name: string): Promise<Machine>;
  close(): Promise<void>;
}

export async function startThreeAuths(): Promise<ThreeAuths> {
  // The pace of elections that etcd has by itself.
  const etcd = await startEtcd(3, ['--heartbeat-interval=100', '--election-timeout=1000']);
  const fleet = createFleet();
  const [web = 0, ssh = 0, ...ports] = await freePorts(5);
  const addresses = ports.map((port) => ({ host: '127.0.0.1', port }));
  const list = addresses.map(({ port }) => `127.0.0.1:${port}`).join(', ');
  const closers: (() => Promise<void>)[] = [];

  const addAuth = async (n: number): Promise<CuttableAuth> => {
    const machine = await fleet.add(`auth${n}`);
    const links = await Promise.all(
      etcd.urls.map((url) => badLinkTo(parseHostPort(url.replace('http://', ''), 0))),
    );
    closers.push(...links.map((link) => () => link.close()));
    const peers = links.map(({ address }) => `"http://127.0.0.1:${address.port}"`).join(', ');
    const address = addresses[n - 1] ?? { host: '', port: 0 };
    machine.configure(`teleport:
  nodename: auth${n}
  data_dir: ${machine.dataDir}
  auth_servers: [${list}]
  storage: {type: etcd, peers: [${peers}], prefix: /teleport, key_file: ${join(fleet.dir, 'keyring')}}
auth_service:
  listen_addr: 127.0.0.1:${address.port}
  cluster_name: example
  tokens: ["proxy,node:${token}"]
  authentication: {second_factor: off}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`);
    return {
      machine,
      address,
      cutOff: () => {
        for (const link of links) link.stall();
      },
      heal: () => {
        for (const link of links) link.cut();
      },
    };
  };
  const auths = [await addAuth(1), await addAuth(2), await addAuth(3)];
  const [first] = auths;
  if (first === undefined) throw new Error('no auth server');
  await first.machine.start();
  await Promise.all(auths.slice(1).map(({ machine }) => machine.start()));
  const pin = /sha256:[0-9a-f]{64}/.exec((await fleet.tctl(first.machine, 'status')).stdout)?.[0] ?? '';

  const joiner = (machine: Machine, services: string): string => `teleport:
  nodename: ${machine.name}
  data_dir: ${machine.dataDir}
  auth_servers: [${list}]
  auth_token: ${token}
  ca_pin: "${pin}"
auth_service: {enabled: no}
${services}`;
  const anotherNode = async (name: string): Promise<Machine> => {
    const machine = await fleet.add(name);
    machine.configure(
      joiner(machine, 'ssh_service: {listen_addr: "127.0.0.1:0"}\nproxy_service: {enabled: no}\n'),
    );
    return machine;
  };
  const proxy = await fleet.add('proxy1');
  proxy.configure(
    joiner(
      proxy,
      `ssh_service: {enabled: no}
proxy_service:
  listen_addr: 127.0.0.1:${ssh}
  web_listen_addr: 127.0.0.1:${web}
  public_addr: localhost:${web}
  ssh_public_addr: localhost:${ssh}
`,
    ),
  );
  const node = await anotherNode('node1');
  await Promise.all([proxy.start(), node.start()]);
  const people = fleet.people({ auth: first.machine, proxy, web });
  await createFirstUser(people, 'joe', { logins: [login] });

  const clients: AuthClient[] = [];
  const { publicKey } = newKey();
  return {
    ...{ auths, etcd, fleet, node, proxy, people, anotherNode },
    admin: () => {
      const identity = loadIdentity(first.machine.dataDir, 'Admin');
      if (identity === undefined) throw new Error('no admin identity');
      const client = clientOf(addresses, identity);
      clients.push(client);
      return client;
    },
    logIn: (username) => postLogin(web, username, toAuthorizedKeyLine(publicKey.blob)),
    join: async () => {
      const { privateKey: key } = generateKeyPairSync('ed25519');
      await joinCluster(
        { servers: addresses, pins: [pin] },
        {
          hostId: randomUUID(),
          nodename: `joiner-${randomUUID()}`,
          role: 'Node',
          additionalPrincipals: [],
          key,
          token: () => token,
        },
        realWorld,
      );
    },
    close: async () => {
      for (const client of clients) client.close();
      for (const { machine } of auths) resume(machine);
      await fleet.close();
      for (const close of closers) await close();
      await etcd.close();
    },
  };
}

async function postLogin(web: number, user: string, publicKey: string): Promise<void> {
  const { status, text } = await exchange({
    url: new URL(`https://localhost:${web}/v1/webapi/ssh/certs`),
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, password, pub_key: Buffer.from(`${publicKey}\n`).toString('base64') }),
    signal: AbortSignal.timeout(30_000),
    maxAnswerBytes: 100_000,
    check: { status: 'unchecked' },
  });
  if (status !== 200) throw new Error(`login: ${status} ${text}`);
}

/** Also when it is not stopped, or gone. */
export function resume(machine: Machine): void {
  try {
    process.kill(machine.pid(), 'SIGCONT');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ESRCH') throw e;
  }
}

import { userInfo } from 'node:os';
import type { AuthClient } from '../../src/api/client.ts';
import { parseHostPort } from '../../src/base/addresses.ts';
import { exchange } from '../../src/base/http-exchange.ts';
import type { HostPort } from '../../src/base/service.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { loadIdentity } from '../../src/process/identity/identity-store.ts';
import { badLinkTo, clientOf, newKey } from '../harness/auth-bench.ts';
import { buildCluster, proxyPorts } from '../harness/built-cluster.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import type { Fleet, Machine } from '../harness/machines.ts';
import { createFirstUser, password, type PeopleCluster } from '../harness/people.ts';

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
  const cluster = await buildCluster(3);
  const { addresses, fleet } = cluster;
  const ports = await proxyPorts();
  const closers: (() => Promise<void>)[] = [];

  const addAuth = async (n: number): Promise<CuttableAuth> => {
    const links = await Promise.all(
      etcd.urls.map((url) => badLinkTo(parseHostPort(url.replace('http://', ''), 0))),
    );
    closers.push(...links.map((link) => () => link.close()));
    const peers = links.map(({ address }) => `"http://127.0.0.1:${address.port}"`).join(', ');
    const address = addresses[n - 1] ?? { host: '', port: 0 };
    const store = `type: etcd, peers: [${peers}], prefix: /teleport`;
    const machine = await cluster.authServer(n, { store });
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
  const pin = await cluster.pin(first.machine);
  const teleport = [`ca_pin: "${pin}"`];
  const anotherNode = (name: string): Promise<Machine> => cluster.joiner(name, { teleport, node: {} });
  const proxy = await cluster.joiner('proxy1', { teleport, proxy: ports });
  const node = await anotherNode('node1');
  await Promise.all([proxy.start(), node.start()]);
  const people = fleet.people({ auth: first.machine, proxy, web: ports.web });
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
    logIn: (username) => postLogin(ports.web, username, toAuthorizedKeyLine(publicKey.blob)),
    join: () => cluster.joinOnce(pin),
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

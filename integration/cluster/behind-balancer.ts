import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { selfSignedWebCertificate } from '../../src/pki/web-certificate.ts';
import { newKey } from '../harness/auth-bench.ts';
import { type AuthFleet, startAuthFleet, tokens } from '../harness/auth-fleet.ts';
import type { Machine } from '../harness/machines.ts';
import { freePorts } from '../harness/own-ports.ts';
import { type PeopleCluster, sshConfigFor } from '../harness/people.ts';
import { run } from '../harness/run-program.ts';
import { type FrontPorts, type RealBalancer, startRealBalancer } from './real-balancer.ts';

export const login = userInfo().username;
/** The address from which the balancer calls the proxies. */
export const balancerAddress = '127.0.0.9';

interface Proxy {
  readonly machine: Machine;
  readonly ports: FrontPorts;
}

/** Two proxies behind a balancer, with an auth server and a node. */
export interface Balanced {
  readonly cluster: AuthFleet;
  readonly people: PeopleCluster;
  readonly proxies: readonly Proxy[];
  readonly nodePort: number;
  /** Of the balancer, for SSH. */
  readonly sshPort: number;
  /** Starts both proxies by one example, and the balancer by another; those that run are stopped before. */
  readonly serve: (balancer: string, proxy: string) => Promise<void>;
  /** One request over HTTPS to the balancer from an address of this machine, on a connection of its own. */
  readonly ask: (path: string, wish?: AskWish) => Promise<Answer>;
  /** A connection to the balancer that became one to whatever else the web port serves. */
  readonly upgraded: (from: string) => Promise<Duplex>;
  /** A login with a password, by the call that tsh makes. */
  readonly tryPassword: (
    user: string,
    secret: string,
    from: string,
    headers?: Record<string, string>,
  ) => Promise<Answer>;
  /** The events of that type, the newest last. */
  readonly events: (type: string) => Promise<Record<string, unknown>[]>;
  /** The sum of a metric of one proxy over its labels. */
  readonly metric: (proxy: Proxy, name: string) => Promise<number>;
  close(): Promise<void>;
}

export interface AskWish {
  readonly from?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const frontPorts = async (): Promise<FrontPorts> => {
  const [web = 0, ssh = 0, tunnel = 0] = await freePorts(3);
  return { web, ssh, tunnel };
};

/**
 * The cluster with its node; the proxies and the balancer do not run yet.
 * @param proxyLines more lines of `proxy_service` of both proxies.
 */
export async function startBalanced(...proxyLines: readonly string[]): Promise<Balanced> {
  const cluster = await startAuthFleet();
  const { fleet, auth } = cluster;
  const pin = await cluster.pin();
  const dir = join(fleet.dir, 'web');
  mkdirSync(dir);
  const pair = selfSignedWebCertificate({ hostnames: ['localhost'], now: new Date().toISOString() });
  // By this name people of the harness find what they trust.
  const web = { certificate: join(dir, 'webproxy_cert.pem'), key: join(dir, 'webproxy_key.pem') };
  writeFileSync(web.certificate, pair.certificatePem);
  writeFileSync(web.key, pair.keyPem, { mode: 0o600 });
  const tokenFile = join(fleet.dir, 'token');
  writeFileSync(tokenFile, tokens.both, { mode: 0o600 });
  const ports = await frontPorts();
  const proxies: Proxy[] = [];
  for (const name of ['proxy1', 'proxy2'])
    proxies.push({ machine: await fleet.add(name), ports: await frontPorts() });
  const node = await fleet.add('node1');
  const [nodePort = 0] = await freePorts(1);
  const nodeYaml = cluster.nodeYaml(node, `auth_token: ${tokens.node}`, `ca_pin: "${pin}"`);
  node.configure(nodeYaml.replace('listen_addr: 127.0.0.1:0', `listen_addr: 127.0.0.1:${nodePort}`));
  await node.start();
  const [first] = proxies;
  if (first === undefined) throw new Error('there is no proxy');
  const people = fleet.people({ auth, proxy: { ...first.machine, dataDir: dir }, web: ports.web });

  const proxyYaml = (example: string, { machine, ports: own }: Proxy): string =>
    readFileSync(join('examples/balancers', example), 'utf8')
      .replace('nodename: proxy1', `nodename: ${machine.name}`)
      .replace('/var/lib/teleport', machine.dataDir)
      .replace('10.0.0.2:3025', `127.0.0.1:${cluster.authPort}`)
      .replace('/etc/teleport.token', tokenFile)
      .replace(/sha256:0+/, pin)
      .replace('0.0.0.0:3023', `127.0.0.1:${own.ssh}`)

      .replace(
        'web_listen_addr: 0.0.0.0:3080',
        `web_listen_addr: 127.0.0.1:${own.web}\n  tunnel_listen_addr: 127.0.0.1:${own.tunnel}\n  peer_listen_addr: 127.0.0.1:0${proxyLines.map((line) => `\n  ${line}`).join('')}`,
      )
      .replace('teleport.example.com:443', `localhost:${ports.web}`)
      .replace('teleport.example.com:3023', `localhost:${ports.ssh}`)
      .replace('/etc/teleport/web.crt', web.certificate)
      .replace('/etc/teleport/web.key', web.key)
      .replace('10.0.0.5', balancerAddress);

  let balancer: RealBalancer | undefined;
  const stop = async (): Promise<void> => {
    await balancer?.close();
    balancer = undefined;
    await Promise.all(proxies.map(({ machine }) => machine.stop()));
  };
  const balanced: Balanced = {
    ...{ nodePort, sshPort: ports.ssh },
    cluster,
    people,
    proxies,
    serve: async (name, example) => {
      await stop();
      const args = example === 'proxy-https.yaml' ? ['--insecure'] : [];
      await Promise.all(
        proxies.map(async (proxy) => {
          proxy.machine.configure(proxyYaml(example, proxy));
          await proxy.machine.start({ args });
        }),
      );
      const place = join(fleet.dir, name);
      if (!existsSync(place)) mkdirSync(place);
      balancer = await startRealBalancer(name, {
        ...{ dir: place, ports, address: balancerAddress, web },
        behind: proxies.map((proxy) => ({
          ports: proxy.ports,
          diagPort: Number(proxy.machine.diagAddress().split(':').at(-1)),
        })),
      });
    },
    ask: (path, { from = '127.0.0.1', method = 'GET', headers = {}, body = '' } = {}) =>
      new Promise((resolve, reject) => {
        const asked = request({
          ...{ host: 'localhost', family: 4, port: ports.web, path, method, headers },
          ...{ ca: pair.certificatePem, localAddress: from, agent: false },
        });
        asked.once('error', reject);
        asked.once('response', (answer) => {
          text(answer).then((got) => {
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: got });
          }, reject);
        });
        asked.end(body);
      }),
    upgraded: (from) =>
      new Promise((resolve, reject) => {
        const asked = request({
          ...{ host: 'localhost', family: 4, port: ports.web, path: '/v1/webapi/connect' },
          ...{ ca: pair.certificatePem, localAddress: from, agent: false },
          headers: { Connection: 'Upgrade', Upgrade: 'teleport' },
        });
        asked.once('error', reject);
        asked.once('response', ({ statusCode }) => {
          reject(new Error(`no upgrade, but ${statusCode}`));
        });
        asked.once('upgrade', (_answer, connection, head) => {
          connection.unshift(head);
          resolve(connection);
        });
        asked.end();
      }),
    tryPassword: (user, secret, from, headers = {}) =>
      balanced.ask('/v1/webapi/ssh/certs', {
        ...{ from, method: 'POST', headers },
        body: JSON.stringify({
          ...{ user, password: secret, ttl: 3_600_000_000_000 },
          pub_key: Buffer.from(`${toAuthorizedKeyLine(newKey().publicKey.blob)}\n`).toString('base64'),
        }),
      }),
    events: async (type) => {
      const { stdout } = await fleet.tctl(auth, 'events', 'ls', `--type=${type}`, '--format=json');
      return stdout
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    metric: async ({ machine }, name) => {
      const page = await (await fetch(`http://${machine.diagAddress()}/metrics`)).text();
      return page
        .split('\n')
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    close: async () => {
      await balancer?.close();
      await fleet.close();
    },
  };
  return balanced;
}

/** Stock OpenSSH, `ssh -J`, from an address of this machine, by what `tsh config` prints. */
export async function stockSsh(
  { people, nodePort }: Balanced,
  person: string,
  from: string,
  command: string,
): ReturnType<typeof run> {
  const file = await sshConfigFor(people, person);
  // The jump to the proxy reads it as well, and is the one that connects.
  writeFileSync(file, `BindAddress ${from}\n${readFileSync(file, 'utf8')}`);
  return run(
    'ssh',
    ['-F', file, '-J', 'localhost', '-p', String(nodePort), `${login}@node1.example`, command],
    {
      env: people.env(person),
    },
  );
}

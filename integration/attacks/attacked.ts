import type { IncomingMessage } from 'node:http';
import { request, type RequestOptions } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { joinCluster, type Joining } from '../../src/api/join-client.ts';
import { authServerName } from '../../src/api/tls-dial.ts';
import { realWorld } from '../../src/base/world.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { generateEd25519 } from '../../src/pki/key-pair.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { type Material, newKey } from '../harness/auth-bench.ts';
import { type Cluster, type ClusterOptions, linkIn, startCluster } from '../harness/cluster.ts';
import { acceptLink, password } from '../harness/people.ts';

export const tokens = { node: 'static-token-for-nodes', proxy: 'static-token-for-proxies' };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Asking extends RequestOptions {
  readonly as?: Pick<Material, 'privateKeyPem' | 'tlsCertificatePem'>;
  readonly body?: string | Buffer;
}

/** What a login gave, in the form of the web API. */
export interface Login extends Material {
  readonly sshCertificate: string;
}

/**
 * A real cluster of one process, and what an attacker holds: a login, an identity of a node and of a proxy.
 */
export interface Attacked {
  readonly cluster: Cluster;
  readonly pin: string;
  readonly node: HostIdentity;
  readonly proxy: HostIdentity;
  readonly alice: Login;
  /** One request to the auth port; nothing is checked about the server. Rejects when no answer comes. */
  auth(path: string, asking?: Asking): Promise<Answer>;
  web(path: string, asking?: Asking): Promise<Answer>;
  logIn(username: string, ttlSeconds: number): Promise<Login>;
  joining(wish?: Partial<Joining>): Joining;
  join(joining: Joining): Promise<HostIdentity>;
  /** Bytes to a port, and all that comes back until the other side closes. */
  raw(port: number, bytes: string | Buffer, over?: 'tcp' | 'tls'): Promise<string>;
  events(type: string): Promise<Record<string, unknown>[]>;
  /** The daemon serves as before: every port answers, and it has called nothing a bug. */
  unharmed(): Promise<void>;
}

export const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

export async function startAttacked(options: Pick<ClusterOptions, 'within'> = {}): Promise<Attacked> {
  const cluster = await startCluster({
    ...options,
    yaml: (text) =>
      text.replace(
        'auth_service:',
        `auth_service:\n  tokens: ["node:${tokens.node}", "proxy:${tokens.proxy}"]`,
      ),
  });
  const { ports } = cluster;
  const ask = (options: RequestOptions, { as, body = '', ...rest }: Asking): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const outgoing = request({
        host: 'localhost',
        agent: false,
        rejectUnauthorized: false,
        ...(as === undefined ? {} : { key: as.privateKeyPem, cert: as.tlsCertificatePem }),
        ...options,
        ...rest,
      });
      outgoing.once('error', reject);
      outgoing.once('response', (incoming) => {
        text(incoming).then((got) => {
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: got });
        }, reject);
      });
      outgoing.end(body);
    });
  const auth: Attacked['auth'] = (path, asking = {}) =>
    ask({ port: ports.auth, path, method: 'POST', servername: authServerName }, asking);
  const web: Attacked['web'] = (path, asking = {}) => ask({ port: ports.web, path }, asking);
  const logIn: Attacked['logIn'] = async (user, ttlSeconds) => {
    const { privateKeyPem, publicKey } = newKey();
    const answer = await web('/v1/webapi/ssh/certs', {
      method: 'POST',
      body: JSON.stringify({
        user,
        password,
        pub_key: Buffer.from(`${toAuthorizedKeyLine(publicKey.blob)}\n`).toString('base64'),
        ttl: ttlSeconds * 1e9,
      }),
    });
    if (answer.status !== 200) throw new Error(answer.body);
    const given = JSON.parse(answer.body) as Record<'cert' | 'tls_cert', string>;
    const plain = (base64: string): string => Buffer.from(base64, 'base64').toString().trim();
    return {
      privateKeyPem,
      sshCertificate: plain(given.cert),
      tlsCertificatePem: plain(given.tls_cert),
      tlsCasPem: [],
    };
  };
  const joining: Attacked['joining'] = (wish = {}) => ({
    hostId: realWorld.uuid(),
    nodename: 'n1',
    role: 'Node',
    additionalPrincipals: [],
    key: generateEd25519(),
    token: () => tokens.node,
    ...wish,
  });
  const status = await cluster.tctl('status');
  const pin = /sha256:[0-9a-f]{64}/.exec(status.stdout)?.[0] ?? '';
  const joinHere: Attacked['join'] = (asked) =>
    joinCluster({ servers: [{ host: '127.0.0.1', port: ports.auth }], pins: [pin] }, asked, realWorld);
  const added = await cluster.tctl('users', 'add', 'alice', 'root');
  await acceptLink(cluster, linkIn(added.stdout));
  return {
    cluster,
    pin,
    node: await joinHere(joining()),
    proxy: await joinHere(joining({ role: 'Proxy', nodename: 'p1', token: () => tokens.proxy })),
    alice: await logIn('alice', 3600),
    auth,
    web,
    logIn,
    joining,
    join: joinHere,
    raw: async (port, bytes, over = 'tcp') => {
      const socket =
        over === 'tcp'
          ? connectTcp(port, '127.0.0.1')
          : connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
      socket.on('error', () => undefined); // `close` follows
      let got = '';
      socket.on('data', (data: Buffer) => (got += data.toString('latin1')));
      socket.write(bytes);
      await new Promise((closed) => socket.once('close', closed));
      return got;
    },
    events: async (type) => {
      const listed = await cluster.tctl('events', 'ls', `--type=${type}`, '--format=json');
      return listed.stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    unharmed: async () => {
      const ping = await auth('/v3/cluster.ping', { body: '{}' });
      const front = await web('/webapi/ping');
      const ready = await cluster.readyz('strict');
      if (ping.status !== 200 || front.status !== 200 || ready?.code !== 200)
        throw new Error(JSON.stringify({ ping, front, ready }));
      // One of each kind, whenever and by whichever request it came.
      const bugs = new Map(
        (cluster.output().match(/^.*(?: bug:|^\s+at ).*$/gm) ?? []).map((line) => [
          line.replace(/\d{4}-\S+Z|[0-9a-f-]{36}/g, ''),
          line,
        ]),
      );
      if (bugs.size > 0) throw new Error([...bugs.values()].slice(0, 5).join('\n'));
    },
  };
}

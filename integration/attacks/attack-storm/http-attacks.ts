import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Attacked } from '../attacked.ts';
import { toAuthorizedKeyLine } from '../../../src/pki/ssh-key.ts';
import { type Material, newKey } from '../../harness/auth-bench.ts';
import type { Random } from '../../stores/store-trial/random.ts';
import { hostileStrings, replacements } from './hostile-strings.ts';

const operations = [
  ...[
    'cluster.ping',
    'cluster.host-authorities',
    'cluster.status',
    'user.log-in',
    'user.create',
    'user.list',
  ],
  ...[
    'invite.read',
    'invite.accept',
    'authority.list',
    'host.list',
    'token.create',
    'token.list',
    'host.join',
  ],
  ...[
    'host.heartbeat',
    'audit.emit',
    'audit.search',
    'log.info',
    'request.outcome',
    'log.recover',
    '__proto__',
  ],
];
const pages = [
  '/',
  '/web/login',
  '/webapi/ping',
  '/web/invite/x',
  '/v1/webapi/ssh/certs',
  '/webapi/x',
  '/..%2f',
  '/%00',
];
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'HEAD', 'PROPFIND', 'CONNECT', 'X'];
const texts = Object.values(hostileStrings);

/** Bodies of any shape: depth, width, strings that harm. */
function junk(random: Random, depth = 0): unknown {
  const kind = random.below(depth > 4 ? 3 : 6);
  if (kind < 2) return random.oneOf(texts).slice(0, 2000);
  if (kind === 2) return random.oneOf([0, -1, 1e308, null, true, 2 ** 53]);
  if (kind === 3) return Array.from({ length: random.below(5) }, () => junk(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: random.below(5) }, () => [
      random.oneOf(texts).slice(0, 60),
      junk(random, depth + 1),
    ]),
  );
}

/** A request in bytes, its length told, in chunks, wrong, or not at all. */
function request(random: Random, method: string, path: string, body: string): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${random.oneOf(['localhost', 'x', ''])}\r\n`;
  switch (random.below(5)) {
    case 0:
      return `${head}Transfer-Encoding: chunked\r\n\r\n${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    case 1:
      return `${head}\r\n`;
    case 2:
      return `${head}Content-Length: ${random.oneOf(['-1', '1e9', '99999999999', '0'])}\r\n\r\n${body}`;
    case 3:
      return `${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n${body}`;
    default:
      return `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  }
}

async function sendAndClose(socket: Socket, data: string | Buffer, ms: number): Promise<void> {
  socket.on('error', () => undefined); // `close` follows
  socket.resume();
  socket.write(data);
  const timer = setTimeout(() => socket.destroy(), ms);
  await new Promise((closed) => socket.once('close', closed));
  clearTimeout(timer);
}

/** One request, or what is none, to the auth port, the web port, or the diagnostics. */
export async function attackHttp(random: Random, here: Attacked): Promise<void> {
  const { ports } = here.cluster;
  const port = random.oneOf([ports.auth, ports.web, ports.diag]);
  const path = port === ports.auth ? `/v3/${random.oneOf(operations)}` : random.oneOf(pages);
  const data = random.chance(0.1)
    ? Buffer.from(Array.from({ length: random.between(1, 3000) }, () => random.below(256)))
    : request(random, random.oneOf(methods), path, JSON.stringify(junk(random)));
  const who: readonly (readonly Material[])[] = [[], [here.alice], [here.node], [here.proxy]];
  const [as] = random.oneOf(who);
  const socket =
    port === ports.diag || random.chance(0.1)
      ? connectTcp(port, '127.0.0.1')
      : connectTls({
          ...{ port, host: '127.0.0.1', rejectUnauthorized: false },
          ...(as === undefined ? {} : { key: as.privateKeyPem, cert: as.tlsCertificatePem }),
        });
  await sendAndClose(socket, data, random.between(50, 500));
}

/** One heartbeat or join that is in order but for one field. @returns the status and the field */
export async function attackWithText(
  random: Random,
  here: Attacked,
): Promise<{ status: number; path: string }> {
  const text = random.oneOf(texts);
  const [path, sample, as] = random.oneOf(samplesOf(here));
  const all = [...replacements(sample, text, [])];
  const chosen = random.oneOf(all);
  const answer = await here.auth(path, {
    ...(as === undefined ? {} : { as }),
    body: JSON.stringify(chosen.value),
  });
  return { status: answer.status, path: `${path}${chosen.path}` };
}

/** Calls that are in order, as a machine with a token or a certificate makes them. */
export function samplesOf(here: Attacked): readonly (readonly [string, object, Material | undefined])[] {
  const sentAt = new Date().toISOString();
  const host = (hostId: string, role: string): object => ({
    ...{ hostId, role, nodename: role === 'Node' ? 'n1' : 'p1', address: '127.0.0.1:1', publicAddress: '' },
    ...{ sshPublicAddress: '', labels: { env: 'x' }, version: '4.5.0' },
  });
  const publicKey = toAuthorizedKeyLine(newKey().publicKey.blob);
  const uid = '00000000-0000-4000-8000-000000000099';
  return [
    ['/v3/host.heartbeat', { host: host(here.node.hostId, 'Node'), ttlSeconds: 60, sentAt }, here.node],
    ['/v3/host.heartbeat', { host: host(here.proxy.hostId, 'Proxy'), ttlSeconds: 60, sentAt }, here.proxy],
    [
      '/v3/host.join',
      {
        ...{ hostId: uid, nodename: 'n2', role: 'Node', token: 'static-token-for-nodes' },
        ...{ publicKey, additionalPrincipals: ['n2.example'], sentAt },
      },
      undefined,
    ],
    [
      '/v3/audit.emit',
      {
        events: [
          {
            ...{
              event: 'exec',
              code: 'T3002I',
              uid,
              time: sentAt,
              server_id: here.node.hostId,
              user: 'alice',
            },
            ...{ login: 'root', command: 'ls', 'addr.remote': '127.0.0.1:5', sid: uid, exitCode: '0' },
          },
        ],
      },
      here.node,
    ],
    [
      '/v3/user.log-in',
      { username: 'alice', password: 'no', otp: '', publicKey, ttlSeconds: 60, clientAddress: '127.0.0.1:5' },
      here.proxy,
    ],
    ['/v3/invite.read', { token: 'x', clientAddress: '127.0.0.1:5' }, here.proxy],
    ['/v3/invite.accept', { token: 'x', password: 'no', otp: '', clientAddress: '127.0.0.1:5' }, here.proxy],
  ];
}

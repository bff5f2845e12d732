import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32c } from '../../src/base/crc32c.ts';
import { toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { connectSsh } from '../../src/ssh/cert-client.ts';
import { newKey } from '../harness/auth-bench.ts';
import { type Daemon, endDaemons, gone, startDaemon } from '../harness/daemon.ts';
import { until } from '../harness/run-program.ts';
import { now, userIdentity } from '../ssh/ssh-workbench.ts';

const balancer = '127.0.0.9';
const listed = `  trusted_balancers: [${balancer}]\n  proxy_protocol: on\n`;
let daemon: Daemon;

beforeAll(async () => {
  daemon = await startDaemon({
    yaml: (yaml) =>
      yaml
        .replace('auth_service:\n', `auth_service:\n${listed}`)
        .replace('proxy_service:\n', `proxy_service:\n${listed}`),
  });
}, 120_000);
afterAll(endDaemons);

const lineFor = (client: string): string => `PROXY TCP4 ${client} 10.0.0.1 4711 443\r\n`;
/** Version 2, with a checksum. */
function binaryFor(client: string): Buffer {
  const body = Buffer.from([
    ...client.split('.').map(Number),
    10,
    0,
    0,
    1,
    0x12,
    0x67,
    1,
    187,
    3,
    0,
    4,
    0,
    0,
    0,
    0,
  ]);
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\0', 'latin1');
  const header = Buffer.concat([head, Buffer.of(body.length), body]);
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}

const dial = (port: number, from: string, header: string | Buffer = ''): Socket => {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from }).on('error', () => undefined);
  socket.write(header);
  return socket;
};

const publicKey = Buffer.from(`${toAuthorizedKeyLine(newKey().publicKey.blob)}\n`).toString('base64');

/** Somebody logs in with a name that nobody has; the web port answers. */
async function logInWithin(socket: Socket, user: string): Promise<string> {
  const tls = connectTls({ socket, rejectUnauthorized: false }).on('error', () => undefined);
  const body = JSON.stringify({ user, password: 'wrong', pub_key: publicKey, ttl: 3_600_000_000_000 });
  tls.write(
    `POST /v1/webapi/ssh/certs HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.66\r\n` +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
  return text(tls);
}
const sshWithin = (stream: Socket): Promise<unknown> =>
  connectSsh({
    ...{ target: { stream }, username: 'nobody', identities: [userIdentity('ed25519')], now },
    ...{ hostAuthorities: () => [], hostPrincipals: [], acceptUnknownHost: () => true },
  });

const eventWith = (type: string, what: string): Promise<Record<string, unknown>> =>
  until(`${what} in the audit`, async () => {
    const { stdout } = await daemon.cluster.tctl('events', 'ls', `--type=${type}`, '--format=json');
    const found = stdout.split('\n').find((line) => line.includes(what));
    return found === undefined ? undefined : (JSON.parse(found) as Record<string, unknown>);
  });
const refused = async (): Promise<Record<string, number>> => {
  const page = await (await fetch(`http://127.0.0.1:${daemon.cluster.ports.diag}/metrics`)).text();
  return Object.fromEntries(
    [...page.matchAll(/^proxy_protocol_refused_total\{listener="(.*)",reason="(.*)"\} (\d+)$/gm)].map(
      ([, listener, reason, count]) => [`${listener} ${reason}`, Number(count)],
    ),
  );
};

describe('a header of a listed balancer', () => {
  it.each(['as they were opened', 'as they were inherited over a reload'])(
    'names the client at each port, %s',
    async (which) => {
      if (which.includes('reload')) await gone((await daemon.reload()).from);
      const { ports } = daemon.cluster;
      const last = which.includes('reload') ? 20 : 10;
      for (const [i, headerFor] of [lineFor, binaryFor].entries()) {
        const client = `203.0.113.${last + i}`;
        expect(await logInWithin(dial(ports.web, balancer, headerFor(client)), `web-${client}`)).toContain(
          ' 403 ',
        );
        expect(await eventWith('user.login', `web-${client}`)).toMatchObject({
          'addr.remote': `${client}:4711`,
          'addr.balancer': expect.stringMatching(/^127\.0\.0\.9:\d+$/) as string,
        });
        await expect(sshWithin(dial(ports.proxySsh, balancer, headerFor(client)))).rejects.toMatchObject({
          code: 'access_denied',
        });
        expect(await eventWith('auth', `"${client}:4711"`)).toMatchObject({
          'addr.remote': `${client}:4711`,
          'addr.balancer': expect.stringMatching(/^127\.0\.0\.9:\d+$/) as string,
        });
        const auth = connectTls({
          socket: dial(ports.auth, balancer, headerFor(client)),
          rejectUnauthorized: false,
        });
        await once(auth, 'secureConnect');
        auth.destroy();
      }
      expect(await refused()).toEqual({});
    },
    120_000,
  );
});

describe('nobody else names anybody', () => {
  const closed = (socket: Socket): Promise<unknown> => {
    socket.resume();
    return new Promise((resolve) => socket.once('close', resolve));
  };

  it('a header from elsewhere is refused at each port, and none is needed there', async () => {
    const { ports } = daemon.cluster;
    for (const port of [ports.web, ports.proxySsh, ports.auth])
      await closed(dial(port, '127.0.0.8', lineFor('203.0.113.30')));
    expect(await refused()).toEqual({
      'proxy:web unexpected': 1,
      'proxy:ssh unexpected': 1,
      'auth unexpected': 1,
    });
    expect(await logInWithin(dial(ports.web, '127.0.0.8'), 'direct')).toContain(' 403 ');
    expect(String((await eventWith('user.login', '"direct"'))['addr.remote'])).toMatch(/^127\.0\.0\.8:/);
  });

  it('a listed balancer without one, or with one that cannot be read, is refused', async () => {
    const { ports } = daemon.cluster;
    await closed(dial(ports.web, balancer, 'GET / HTTP/1.1\r\n\r\n'));
    await closed(dial(ports.proxySsh, balancer, 'SSH-2.0-x\r\n'));
    await closed(dial(ports.auth, balancer, 'PROXY TCP4 not an address\r\n'));
    const broken = binaryFor('203.0.113.31');
    broken[17] = 1;
    await closed(dial(ports.proxySsh, balancer, broken));
    expect(await refused()).toMatchObject({
      'proxy:web missing': 1,
      'proxy:ssh missing': 1,
      'auth malformed': 1,
      'proxy:ssh checksum': 1,
    });
    expect(daemon.cluster.output().match(/a connection was refused by its PROXY header/g)).toHaveLength(1);
  });

  it('a check of the balancer itself is served, and what a client seems to forward does not count', async () => {
    const { ports } = daemon.cluster;
    expect(await logInWithin(dial(ports.web, balancer, 'PROXY UNKNOWN\r\n'), 'unnamed')).toContain(' 403 ');
    expect(String((await eventWith('user.login', '"unnamed"'))['addr.remote'])).toMatch(/^127\.0\.0\.9:/);
  });

  it('who sends no header keeps no process from ending', async () => {
    const { ports } = daemon.cluster;
    const waiting = [ports.web, ports.proxySsh, ports.auth].map((port) => dial(port, balancer, 'PROXY '));
    await Promise.all(waiting.map((socket) => once(socket, 'connect')));
    const main = daemon.main();
    const began = performance.now();
    process.kill(main.pid, 'SIGTERM');
    await gone(main);
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

import { once } from 'node:events';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { clientOf } from '../base/client-of.ts';
import { selfSignedWebCertificate } from '../pki/web-certificate.ts';
import { noStrangers } from '../base/service.ts';
import { testConnect, testServer } from '../ssh/testing.ts';
import { doorway } from '../proxy/door/doorway.ts';
import { HeaderGate } from './header-gate.ts';

const line = 'PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n';
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Wish {
  readonly listener?: string;
  readonly balancers?: readonly string[];
  readonly limitMs?: number;
}

/** A server behind the gate, and what the gate reported. */
async function guarded(server: Server, wish: Wish = {}) {
  const { listener = 'proxy:web', balancers = ['127.0.0.1'], limitMs = 20_000 } = wish;
  const reports: string[] = [];
  const refused: string[] = [];
  const gate = new HeaderGate({
    dueFrom: (name) => (name === listener ? (ip) => balancers.includes(ip) : undefined),
    strangers: {
      enter: (name) => void reports.push(`${name} entered`),
      comesFrom: (_socket, address) => void reports.push(address),
    },
    refused: { count: (name, reason) => void refused.push(`${name} ${reason}`) },
    limitMs,
  });
  expect(gate.guard(listener, server)).toBe(true);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const dial = (): Socket => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    closers.push(() => socket.destroy());
    socket.on('error', () => undefined); // a reset, where it is refused
    return socket;
  };
  return { gate, reports, refused, dial };
}

/** Answers what it reads with the client's address before it. */
const echo = (): Server =>
  createServer((socket) => {
    const { status, address } = clientOf(socket);
    socket.write(`${status} ${address?.host ?? ''}|`);
    socket.on('error', () => undefined).pipe(socket);
  });
/** Everything that comes, until it closes or `until` is among it. */
const said = async (socket: Socket | Duplex, until: string): Promise<string> => {
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.includes(until)) break;
  }
  return text;
};
const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.once('close', resolve));

describe('behind a listed balancer', () => {
  it('the header is taken off, and the client is whom it names, at any split of the bytes', async () => {
    const { dial, reports, refused } = await guarded(echo());
    for (const at of [1, 5, 6, line.length - 1, line.length, line.length + 2]) {
      const socket = dial();
      const bytes = `${line}hello`;
      socket.setNoDelay(true);
      socket.write(bytes.slice(0, at));
      await new Promise((resolve) => setTimeout(resolve, 5));
      socket.write(bytes.slice(at));
      expect(await said(socket, 'hello')).toBe('named 203.0.113.9|hello');
    }
    expect(refused).toEqual([]);
    expect(reports.slice(0, 2)).toEqual(['proxy:web entered', '203.0.113.9']);
  });

  it('a server that speaks first does so when the header has come', async () => {
    const { dial } = await guarded(echo(), { listener: 'proxy:ssh' });
    const socket = dial();
    socket.write(line);
    expect(await said(socket, '|')).toBe('named 203.0.113.9|');
  });

  it('a health check of the balancer itself is served', async () => {
    const { dial, reports } = await guarded(echo());
    const socket = dial();
    socket.write('PROXY UNKNOWN\r\nhello');
    expect(await said(socket, 'hello')).toBe('unnamed 127.0.0.1|hello');
    expect(reports).toEqual(['proxy:web entered']);
  });

  it.each([
    ['missing', 'GET / HTTP/1.1\r\n\r\n'],
    ['malformed', 'PROXY TCP4 1.2.3.4\r\n'],
    ['unsupported', 'PROXY SCTP\r\n'],
    ['too_long', `PROXY ${'x'.repeat(120)}`],
  ])('it is refused, and counted, where the header is %s', async (reason, bytes) => {
    const server = echo();
    const { dial, refused } = await guarded(server);
    const served: unknown[] = [];
    server.on('connection', () => served.push('connection'));
    const socket = dial();
    socket.write(bytes);
    await closed(socket);
    expect([refused, served]).toEqual([[`proxy:web ${reason}`], []]);
  });

  it('it is closed where it said nothing and left, also by a server whose clients may end their half', async () => {
    for (const server of [echo(), createHttp()]) {
      const { dial, refused } = await guarded(server);
      const left = dial();
      left.end();
      await closed(left);
      expect(refused).toEqual([]);
    }
  });

  it('it is refused where the header is late', async () => {
    const { dial, refused } = await guarded(echo(), { limitMs: 50 });
    const slow = dial();
    slow.write('PROXY TC');
    await closed(slow);
    expect(refused).toEqual(['proxy:web late']);
  });
});

describe('anybody else', () => {
  it('is served without one', async () => {
    const { dial, refused } = await guarded(echo(), { balancers: [] });
    const socket = dial();
    socket.write('PROPFIND');
    expect(await said(socket, 'PROPFIND')).toBe('direct 127.0.0.1|PROPFIND');
    expect(refused).toEqual([]);
  });

  it('is refused with one, and counted', async () => {
    const { dial, refused } = await guarded(echo(), { balancers: [] });
    const socket = dial();
    socket.write(line);
    await closed(socket);
    expect(refused).toEqual(['proxy:web unexpected']);
  });

  it('is closed where he says nothing, which is no fault', async () => {
    const { dial, refused } = await guarded(echo(), { balancers: [], limitMs: 50 });
    await closed(dial());
    expect(refused).toEqual([]);
  });

  it('hears the server at once where that one speaks first', async () => {
    const { dial } = await guarded(echo(), { balancers: [], listener: 'proxy:ssh' });
    expect(await said(dial(), '|')).toBe('direct 127.0.0.1|');
  });
});

describe('every kind of server gets its connections from the gate', () => {
  const { keyPem: key, certificatePem: cert } = selfSignedWebCertificate({
    hostnames: ['localhost'],
    now: '2026-01-01T00:00:00.000Z',
  });
  const http = (): HttpServer =>
    createHttp((request, response) => response.end(clientOf(request.socket).address?.host));
  const https = (): HttpServer =>
    createHttps({ key, cert }, (request, response) => response.end(clientOf(request.socket).address?.host));
  const split = (): Server => {
    const [plain, tls] = [http(), https()];
    return doorway(
      { plain: (one) => plain.emit('connection', one), tls: (one) => tls.emit('connection', one) },
      5_000,
    ).server;
  };
  const request = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';

  it.each([
    ['HTTP', http],
    ['HTTP beside TLS', split],
  ])('%s', async (_what, make) => {
    const { dial } = await guarded(make());
    for (const pieces of [[line + request], [line, request]]) {
      const socket = dial();
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      expect(await said(socket, 'never')).toMatch(/200 OK[^]*203\.0\.113\.9$/);
    }
  });

  it.each([
    ['HTTPS', https],
    ['TLS beside HTTP', split],
  ])('%s', async (_what, make) => {
    const { dial } = await guarded(make());
    const raw = dial();
    raw.write(line);
    const socket = connectTls({ socket: raw, rejectUnauthorized: false });
    socket.write(request);
    expect(await said(socket, 'never')).toMatch(/200 OK[^]*203\.0\.113\.9$/);
  });
});

describe('an SSH server', () => {
  const front = (brought: string[]) => {
    const asked: unknown[] = [];
    const { server, seen } = testServer({
      authorize: (_certificate, _name, { remoteAddress, socketAddress }) =>
        asked.push(remoteAddress, socketAddress.host),
    });
    const strangers = { ...noStrangers, broughtHeader: () => void brought.push('header') };
    const listener = createServer((socket) => {
      server.accept(socket, { strangers });
    });
    return { asked, seen, listener };
  };

  it('admits whom the balancer named, and knows the balancer beside', async () => {
    const { asked, listener } = front([]);
    const { dial } = await guarded(listener, { listener: 'proxy:ssh' });
    const socket = dial();
    socket.write(line);
    const { client } = testConnect({ accept: () => undefined }, { target: { stream: socket } });
    (await client).close();
    expect(asked.slice(0, 2)).toEqual([{ host: '203.0.113.9', port: 4711 }, '127.0.0.1']);
  });

  it('refuses a header of anybody else itself, and reports it', async () => {
    const brought: string[] = [];
    const { seen, listener } = front(brought);
    const { dial } = await guarded(listener, { listener: 'proxy:ssh', balancers: [] });
    const socket = dial();
    socket.write(`${line}SSH-2.0-x\r\n`);
    socket.resume();
    await closed(socket);
    expect(brought).toEqual(['header']);
    expect(seen.lines).toEqual([expect.stringContaining('a header of the PROXY protocol')]);
  });
});

it('leaves alone what a service hands to its own server, and listeners where no header is due', async () => {
  const server = echo();
  const { gate } = await guarded(server);
  const served = once(server, 'connection');
  server.emit('connection', new Duplex({ read: () => undefined, write: () => undefined }));
  await served;
  expect(gate.guard('node', createServer())).toBe(false);
});

it('closes those that wait when the process ends', async () => {
  const server = echo();
  const { gate, dial, refused, reports } = await guarded(server);
  const socket = dial();
  socket.write('PROXY ');
  while (reports.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const gone = closed(socket);
  gate.cutWaiting();
  await gone;
  expect(refused).toEqual([]);
});

import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, connect as connectTls } from 'node:tls';

/** What a network does to connections on their way to a web port. */
export type FrontMode =
  | 'open'
  /** Nothing but TLS gets through, and what is swallowed gets no answer. */
  | 'tls-only'
  /** A balancer: ends TLS, and speaks HTTP over TLS with the proxy behind it. */
  | 'ends-tls';

export interface Front {
  mode: FrontMode;
  /** First bytes of what came, in order. */
  readonly came: string[];
  close(): Promise<void>;
}

const handshake = 0x16;

/** Stands at `port` before the web port of a proxy that keeps its certificate in `dataDir`. */
export async function startFront(port: number, web: number, dataDir: string): Promise<Front> {
  const sockets = new Set<Duplex>();
  const carry = (a: Duplex, b: Duplex): void => {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.once('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    a.pipe(b);
    b.pipe(a);
  };
  const balancer = createTlsServer({ ALPNProtocols: ['http/1.1'] }, (socket) => {
    carry(
      socket,
      connectTls({ host: '127.0.0.1', port: web, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }),
    );
  });
  balancer.on('tlsClientError', (_e, socket) => socket.destroy());
  const front: Front = {
    mode: 'open',
    came: [],
    close: async () => {
      for (const one of sockets) one.destroy();
      await closeServer(server);
    },
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    socket.once('data', (first) => {
      front.came.push(first.toString('latin1', 0, 8));
      if (front.mode === 'tls-only' && first[0] !== handshake) {
        socket.resume();
        return;
      }
      socket.pause();
      socket.unshift(first);
      if (front.mode === 'ends-tls') {
        balancer.setSecureContext({
          key: readFileSync(join(dataDir, 'webproxy_key.pem')),
          cert: readFileSync(join(dataDir, 'webproxy_cert.pem')),
        });
        balancer.emit('connection', socket);
      } else carry(socket, connect({ host: '127.0.0.1', port: web }));
    });
  });
  await listen(server, port);
  return front;
}

/** A port where packets vanish: whoever connects never hears anything. */
export async function startSilence(port: number): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).resume();
  });
  await listen(server, port);
  return {
    close: async () => {
      for (const one of sockets) one.destroy();
      await closeServer(server);
    },
  };
}

/** An HTTP proxy that opens connections for those who know its password. */
export interface ConnectProxy {
  readonly port: number;
  /** `host:port` of each request that was let through. */
  readonly connected: string[];
  readonly refused: string[];
  close(): Promise<void>;
}

/** It alone knows names: each of them is this machine. */
export async function startConnectProxy(credentials: string): Promise<ConnectProxy> {
  const wanted = `Proxy-Authorization: Basic ${Buffer.from(credentials).toString('base64')}`.toLowerCase();
  const sockets = new Set<Socket>();
  const [connected, refused]: [string[], string[]] = [[], []];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    let head = '';
    const read = (part: Buffer): void => {
      head += part.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      const target = /^CONNECT (\S+) /.exec(head)?.[1] ?? '';
      const isKnown = head
        .toLowerCase()
        .split('\r\n')
        .some((line) => line === wanted);
      if (!isKnown || target === '') {
        refused.push(target);
        socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      connected.push(target);
      const onward = connect({ host: '127.0.0.1', port: Number(target.split(':').at(-1)) }, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
      socket.once('close', () => onward.destroy());
    };
    socket.on('data', read);
  });
  await listen(server, 0);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connected,
    refused,
    close: async () => {
      for (const one of sockets) one.destroy();
      await closeServer(server);
    },
  };
}

const listen = (server: Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });

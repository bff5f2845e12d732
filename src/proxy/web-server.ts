import {
  createServer as createHttp,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createTcp, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import type { WebCertificate } from './web-certificate-files.ts';
import type { WebEnv } from './web-env.ts';

/** What the web port speaks; `both` tells plain HTTP and TLS apart by the first byte. */
export type WebProtocol =
  | { readonly speaks: 'tls'; readonly certificate: WebCertificate }
  | { readonly speaks: 'both'; readonly certificate: WebCertificate }
  | { readonly speaks: 'plain' };

export interface WebServer {
  /** For `Listeners`. */
  readonly server: Server;
  /** Requests under way get `graceMs`; idle connections are closed at once. */
  close(graceMs: number): Promise<void>;
}

const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const tlsHandshake = 0x16;

/** The server of the web port. It does not listen by itself. */
export function webServer(app: Hono<WebEnv>, protocol: WebProtocol): WebServer {
  const listener = getRequestListener(
    (request, env) =>
      app.fetch(request, {
        ...env,
        secure: 'incoming' in env && env.incoming.socket instanceof TLSSocket,
      }),
    { overrideGlobalObjects: false },
  );
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    void listener(request, response);
  };
  const limit = <S extends HttpServer>(server: S): S => {
    server.headersTimeout = headersTimeoutMs;
    server.requestTimeout = requestTimeoutMs;
    return server;
  };
  const plain = protocol.speaks === 'tls' ? undefined : limit(createHttp(handle));
  const tls =
    protocol.speaks === 'plain'
      ? undefined
      : limit(
          createHttps(
            {
              key: protocol.certificate.keyPem,
              cert: protocol.certificate.certificatePem,
              minVersion: 'TLSv1.2',
            },
            handle,
          ),
        );
  const https = tls as HttpServer | undefined;
  const sockets = new Set<Socket>();
  const server = plain !== undefined && https !== undefined ? splitter(plain, https) : (plain ?? https);
  if (server === undefined) throw new Error('a web port that speaks nothing');
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    server,
    close: async (graceMs) => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      for (const inner of [plain, https]) inner?.closeIdleConnections();
      const end = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(end);
    },
  };
}

/** Looks at the first byte of each connection, puts it back, and gives the connection to the server that speaks so. */
function splitter(plain: HttpServer, tls: HttpServer): Server {
  return createTcp({ noDelay: true }, (socket) => {
    const impatient = setTimeout(() => socket.destroy(), headersTimeoutMs);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(impatient);
    });
    socket.once('readable', () => {
      clearTimeout(impatient);
      const first = socket.read() as Buffer | null;
      if (first === null) return; // it closed without a word
      socket.unshift(first);
      (first[0] === tlsHandshake ? tls : plain).emit('connection', socket);
    });
  });
}

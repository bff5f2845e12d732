import { X509Certificate } from 'node:crypto';
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps, type Server as HttpsServer } from 'node:https';
import { Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import type { Grace } from '../../base/ending.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { tlsPolicy } from '../../base/tls-policy.ts';
import { splitByFirstByte } from './split-by-first-byte.ts';
import type { WebCertificate } from './web-certificate-files.ts';
import type { WebEnv } from './web-env.ts';

/** The protocols of the web port; `both` recognises plain HTTP and TLS by the first byte. */
export type WebProtocol =
  { readonly speaks: 'tls' | 'both'; readonly certificate: WebCertificate } | { readonly speaks: 'plain' };

export interface WebServer {
  /** For `Listeners`. */
  readonly server: Server;
  /**
   * Takes effect with the next handshake, by the name that a client asks for; the first pair is for clients
   * whose name matches none.
   */
  serve(pairs: readonly WebCertificate[]): void;
  /**
   * Current requests are served until the time is over. Without a grace period idle connections are closed at
   * once; otherwise they are told to close with their next response, and closed when none came for a second,
   * so that a client that was just sending meets no reset. Resolves when no socket is left.
   */
  close(grace: Pick<Grace, 'over' | 'given'>): Promise<void>;
}

export interface WebTimeouts {
  /** From a new connection to its first byte, and to the end of the TLS handshake. */
  readonly greetingMs: number;
  readonly headersMs: number;
  /** From the first byte of a request to its last. */
  readonly requestMs: number;
  /** How often the limits above are checked. */
  readonly checkMs: number;
}

const defaultTimeouts: WebTimeouts = {
  greetingMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  checkMs: 2_000,
};

const idleMs = 1_000;

/** The server of the web port. The caller makes it listen. */
export function webServer(
  app: Hono<WebEnv>,
  protocol: WebProtocol,
  timeouts: WebTimeouts = defaultTimeouts,
): WebServer {
  const answer = getRequestListener((request, env) => app.fetch(request, env), {
    overrideGlobalObjects: false,
  });
  let closing = false;
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (closing) response.setHeader('Connection', 'close');
    void answer(request, response);
  };
  const contexts = new NamedContexts();
  const inner = innerServers(protocol, timeouts, { handle, contexts });
  const [first, second] = inner;
  const server: Server =
    second === undefined
      ? first
      : splitByFirstByte({ plain: second, tls: first, timeoutMs: timeouts.greetingMs });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    server,
    serve: (pairs) => {
      contexts.use(pairs);
      const [standard] = pairs;
      // For clients that name no host.
      if (standard !== undefined && 'setSecureContext' in first)
        (first as unknown as HttpsServer).setSecureContext({
          key: standard.keyPem,
          cert: standard.certificatePem,
          ...tlsPolicy,
        });
    },
    close: async ({ over, given }) => {
      closing = true;
      const closed = new Promise<void>((resolve) => {
        // HTTP's own close would cut idle connections.
        Server.prototype.close.call(server, () => {
          resolve();
        });
      });
      const closeIdle = (): void => {
        for (const one of inner) one?.closeIdleConnections();
      };
      if (!given) closeIdle();
      const idle = startTicker(closeIdle, idleMs);
      void over.then(() => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      // Connections handed over within this process were never accepted by the server, and are not waited for
      // above.
      await Promise.all([...sockets].map((socket) => new Promise((gone) => socket.once('close', gone))));
      stopTimer(idle);
      // Ends their timers; a server behind the splitter never listened itself.
      for (const one of inner) one?.close();
    },
  };
}

type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Which certificate is presented to which client. */
class NamedContexts {
  #pairs: readonly { readonly certificate: X509Certificate; readonly context: SecureContext }[] = [];

  use(pairs: readonly WebCertificate[]): void {
    this.#pairs = pairs.map(({ keyPem, certificatePem }) => ({
      certificate: new X509Certificate(certificatePem),
      context: createSecureContext({ key: keyPem, cert: certificatePem, ...tlsPolicy }),
    }));
  }

  for(name: string): SecureContext | undefined {
    const named = this.#pairs.find(({ certificate }) => certificate.checkHost(name) !== undefined);
    return (named ?? this.#pairs[0])?.context;
  }
}

/** TLS, or plain HTTP, or both in this order. */
function innerServers(
  protocol: WebProtocol,
  timeouts: WebTimeouts,
  { handle, contexts }: { readonly handle: RequestHandler; readonly contexts: NamedContexts },
): readonly [HttpServer, HttpServer?] {
  const options: ServerOptions = {
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkMs,
    noDelay: true,
  };
  if (protocol.speaks === 'plain') return [createHttp(options, handle)];
  const { keyPem, certificatePem } = protocol.certificate;
  contexts.use([protocol.certificate]);
  const tls = createHttps(
    {
      ...options,
      key: keyPem,
      cert: certificatePem,
      SNICallback: (name, answer) => {
        answer(null, contexts.for(name));
      },
      ...tlsPolicy,
      handshakeTimeout: timeouts.greetingMs,
    },
    handle,
  ) as HttpServer;
  return protocol.speaks === 'tls' ? [tls] : [tls, createHttp(options, handle)];
}

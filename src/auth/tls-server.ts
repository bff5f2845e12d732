import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';
import { protocols } from '../api/beats.ts';
import type { Grace } from '../base/ending.ts';
import { descriptorLimit } from '../base/descriptor-limit.ts';
import { second } from '../base/time.ts';
import { startTicker, startTimer, stopTimer } from '../base/timers.ts';
import { tlsPolicy } from '../base/tls-policy.ts';

/** What the auth listener presents, and whose certificates it looks at. PEM. */
export interface TlsContext {
  readonly key: string;
  readonly cert: string;
  readonly ca: readonly string[];
}

export interface TlsSettings {
  /** From a new connection through the handshake. Our own callers give up after 5 s. */
  readonly greetingMs: number;
  readonly headersMs: number;
  /** From the first byte of a request to its last. */
  readonly requestMs: number;
  /** How often the two above are looked at. */
  readonly checkMs: number;
  /**
   * With more connections than this, each is closed with its next answer: a host then needs one descriptor
   * here, for the log that it follows, and makes a new connection for its next heartbeat.
   */
  readonly crowdedFrom: number;
}

const defaults = (): TlsSettings => ({
  greetingMs: 10 * second,
  headersMs: 20 * second,
  requestMs: 60 * second,
  checkMs: 5 * second,
  crowdedFrom: Math.floor((descriptorLimit() ?? Number.POSITIVE_INFINITY) / 2),
});

/** Everything that a server was given and that has not closed, through with its handshake or not. */
const openStreams = new WeakMap<Server, Set<Duplex>>();

/**
 * An HTTPS server that asks for a client certificate and lets a caller without one in: the guard decides what
 * such a caller may do. It is not listening yet. `server.setSecureContext(secureContextOf(…))` replaces the
 * authorities.
 */
export function tlsServer(
  context: TlsContext,
  listener: RequestListener,
  settings: Partial<TlsSettings> = {},
): Server {
  const { greetingMs, headersMs, requestMs, checkMs, crowdedFrom } = { ...defaults(), ...settings };
  const server = createServer(
    {
      ...secureContextOf(context),
      ALPNProtocols: [...protocols],
      requestCert: true,
      rejectUnauthorized: false,
      maxHeaderSize: 16 * 1024,
      handshakeTimeout: greetingMs,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      connectionsCheckingInterval: checkMs,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 15 * second,
    },
    listener,
  );
  // Clients give an idle connection up after 90 s, so that no request meets the server closing it.
  server.keepAliveTimeout = 150 * second;
  server.setTimeout(0);
  const streams = new Set<Duplex>();
  openStreams.set(server, streams);
  server.on('connection', (stream: Duplex) => {
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
  });
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    if (streams.size > crowdedFrom) response.setHeader('Connection', 'close');
  });
  return server;
}

/**
 * For `setSecureContext`: connections that are open stay open, the guard looks at their authority at each
 * call.
 */
export const secureContextOf = ({ key, cert, ca }: TlsContext): SecureContextOptions => ({
  key,
  cert,
  ca: [...ca],
  ...tlsPolicy,
});

/** All callers are services and tools of ours: nobody is served for longer than this once auth is ending. */
const longestAnswerMs = 10_000;
const idleMs = 1_000;

/**
 * Takes no new connection and waits for answers under way until the time is over. With a grace, a connection
 * is told to close with its next answer, and closed when there was none for a second; then nobody who was
 * about to ask meets a reset. Resolves when no stream is left.
 */
export async function closeServer(server: Server, { over, given }: Grace): Promise<void> {
  const streams = openStreams.get(server) ?? new Set<Duplex>();
  server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    response.setHeader('Connection', 'close');
  });
  const closed = new Promise<void>((resolve) => {
    // HTTP's own close would cut idle connections.
    TcpServer.prototype.close.call(server, () => {
      resolve();
    });
  });
  const closeIdle = (): void => {
    server.closeIdleConnections();
  };
  if (!given) closeIdle();
  const idle = startTicker(closeIdle, idleMs);
  const closeAll = (): void => {
    server.closeAllConnections();
    // Those that are not yet through with their handshake are no connections of HTTP.
    for (const stream of streams) stream.destroy();
  };
  const limit = startTimer(closeAll, longestAnswerMs);
  void over.then(closeAll);
  await closed;
  // Those that came from within this process were never accepted, and are not waited for above.
  await Promise.all([...streams].map((stream) => new Promise((gone) => stream.once('close', gone))));
  stopTimer(idle);
  stopTimer(limit);
  server.close();
}

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { protocols } from '../api/beats.ts';
import { answerMalformed } from '../base/answer-malformed.ts';
import type { Grace } from '../base/ending.ts';
import { descriptorLimit } from '../base/descriptor-limit.ts';
import { second } from '../base/time.ts';
import { startTicker, startTimer, stopTimer } from '../base/timers.ts';
import { secureContextOf, type TlsContext } from '../base/tls-policy.ts';

export interface TlsSettings {
  /** From the beginning of a handshake, which may have waited for its turn, to its end. */
  readonly greetingMs: number;
  readonly headersMs: number;
  /** From the first byte of a request to its last. */
  readonly requestMs: number;
  /** How often the two limits above are checked. */
  readonly checkMs: number;
  /**
   * With more connections than this, each is closed with its next response. A host then needs one descriptor
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

/** Every connection given to a server that has not closed, before or after its handshake. */
const openStreams = new WeakMap<Server, Set<Duplex>>();

/**
 * An HTTPS server that asks for a client certificate and accepts a caller without one: the guard decides what
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
  // Clients give up an idle connection after 90 s, so that no request meets the server closing it.
  server.keepAliveTimeout = 150 * second;
  server.setTimeout(0);
  answerMalformed(server);
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

/** All callers are services and tools of ours: no response may take longer than this once auth is ending. */
const longestAnswerMs = 10_000;
const idleMs = 1_000;

/**
 * Accepts no new connection and waits for current responses until the time is over. With a grace period, a
 * connection is told to close with its next response, and is closed when it had none for a second, so that no
 * caller about to send a request meets a reset. Resolves when no connection is left.
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
    // Connections that have not finished their handshake are not known to HTTP.
    for (const stream of streams) stream.destroy();
  };
  const limit = startTimer(closeAll, longestAnswerMs);
  void over.then(closeAll);
  await closed;
  // Those from within this process were never accepted by the server, and are not waited for above.
  await Promise.all([...streams].map((stream) => new Promise((gone) => stream.once('close', gone))));
  stopTimer(idle);
  stopTimer(limit);
  server.close();
}

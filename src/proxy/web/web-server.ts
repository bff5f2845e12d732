import { X509Certificate } from 'node:crypto';
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps, type Server as HttpsServer } from 'node:https';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { answerMalformed } from '../../base/answer-malformed.ts';
import type { Grace } from '../../base/ending.ts';
import { sshProtocol } from '../../base/relay-protocol.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { tlsPolicy } from '../../base/tls-policy.ts';
import { doorway, type Routes, showIn } from '../door/doorway.ts';
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

export const defaultTimeouts: WebTimeouts = {
  greetingMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  checkMs: 2_000,
};

const idleMs = 1_000;

/**
 * The server of the web port. The caller makes it listen.
 * @param others who serves what is not of the web: recognised by its first bytes, or after an upgrade.
 * @param onUpgrade called before anything of an upgraded connection is read.
 */
export function webServer(
  app: Hono<WebEnv>,
  protocol: WebProtocol,
  timeouts: WebTimeouts = defaultTimeouts,
  others: Omit<Routes, 'tls' | 'plain'> = {},
  onUpgrade: (request: IncomingMessage) => void = () => undefined,
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
  const inner = innerServers(protocol, timeouts, { handle, contexts, ssh: others.ssh });
  const { tls, plain } = inner;
  const routes: Routes = {
    ...others,
    ...(tls && { tls: (socket) => tls.emit('connection', socket) }),
    ...(plain && { plain: (socket) => plain.emit('connection', socket) }),
  };
  const door = doorway(routes, timeouts.greetingMs);
  const { server } = door;
  const each = [tls, plain].filter((one) => one !== undefined);
  for (const one of each) answerMalformed(one);
  for (const one of each)
    one.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
      onUpgrade(request);
      upgrade(connection, head, (upgraded) => {
        showIn(upgraded, others, timeouts.greetingMs);
      });
    });
  // Node starts to check for slow requests when a server listens; these never listen themselves.
  server.once('listening', () => {
    for (const one of each) one.emit('listening');
  });
  return {
    server,
    serve: (pairs) => {
      contexts.use(pairs);
      const [standard] = pairs;
      // For clients that name no host.
      if (standard !== undefined)
        (tls as unknown as HttpsServer | undefined)?.setSecureContext({
          key: standard.keyPem,
          cert: standard.certificatePem,
          ...tlsPolicy,
        });
    },
    close: async ({ over, given }) => {
      closing = true;
      const closeIdle = (): void => {
        for (const one of each) one.closeIdleConnections();
      };
      if (!given) closeIdle();
      const idle = startTicker(closeIdle, idleMs);
      await door.close(over);
      stopTimer(idle);
      // Ends their timers; they never listened themselves.
      for (const one of each) one.close();
    },
  };
}

/** For who cannot reach us but through something that ends TLS, or lets only HTTP pass. */
const upgradePaths = new Set(['/webapi/connect', '/v1/webapi/connect']);
const upgradeName = 'teleport';

/**
 * What asks for anything else (browsers and libraries offer `h2c` and others) is a request like any other.
 */
const isUpgrade = ({ url = '', headers, method }: IncomingMessage): boolean =>
  method === 'GET' &&
  upgradePaths.has(url.split('?')[0] ?? '') &&
  headers.upgrade?.toLowerCase() === upgradeName;

/** After the answer the connection carries whatever the client sends, as if it had been made to this port. */
function upgrade(connection: Duplex, head: Buffer, onUpgraded: (connection: Duplex) => void): void {
  connection.on('error', () => connection.destroy()); // the client's doing; `close` follows
  connection.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgradeName}\r\n\r\n`,
  );
  if (head.length > 0) connection.unshift(head);
  onUpgraded(connection);
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

interface Inner {
  readonly handle: RequestHandler;
  readonly contexts: NamedContexts;
  /** Whoever asks for SSH in the handshake; undefined: nobody is told that there is any. */
  readonly ssh: Routes['ssh'];
}

function innerServers(
  protocol: WebProtocol,
  timeouts: WebTimeouts,
  { handle, contexts, ssh }: Inner,
): { readonly tls?: HttpServer; readonly plain?: HttpServer } {
  const options: ServerOptions = {
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkMs,
    noDelay: true,
    shouldUpgradeCallback: isUpgrade,
  };
  if (protocol.speaks === 'plain') return { plain: createHttp(options, handle) };
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
      ALPNProtocols: [...(ssh === undefined ? [] : [sshProtocol]), 'http/1.1'],
    },
    handle,
  ) as HttpServer;
  if (ssh !== undefined) divide(tls, ssh);
  return protocol.speaks === 'tls' ? { tls } : { tls, plain: createHttp(options, handle) };
}

/** Gives those who negotiated SSH to its server, and the others to the web, as before. */
function divide(tls: HttpServer, ssh: (connection: Duplex) => void): void {
  const web = tls.listeners('secureConnection') as ((socket: TLSSocket) => void)[];
  tls.removeAllListeners('secureConnection');
  tls.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === sshProtocol) ssh(socket);
    else for (const serve of web) serve.call(tls, socket);
  });
}

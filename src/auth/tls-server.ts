import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { second } from '../base/time.ts';

/** What the auth listener presents, and whose certificates it looks at. PEM. */
export interface TlsContext {
  readonly key: string;
  readonly cert: string;
  readonly ca: readonly string[];
}

/**
 * An HTTPS server that asks for a client certificate and lets a caller without one in: the guard decides what such a
 * caller may do. It is not listening yet. `server.setSecureContext(secureContextOf(…))` replaces the authorities.
 */
export function tlsServer(context: TlsContext, listener: RequestListener): Server {
  const server = createServer(
    {
      ...secureContextOf(context),
      requestCert: true,
      rejectUnauthorized: false,
      maxHeaderSize: 16 * 1024,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 15 * second,
    },
    listener,
  );
  // Clients give an idle connection up after 30 s, so that no request meets the server closing it.
  server.keepAliveTimeout = 65 * second;
  server.headersTimeout = 70 * second;
  server.requestTimeout = 60 * second;
  server.setTimeout(0);
  return server;
}

/** For `setSecureContext`: connections that are open stay open, the guard looks at their authority at each call. */
export const secureContextOf = ({ key, cert, ca }: TlsContext): SecureContextOptions => ({
  key,
  cert,
  ca: [...ca],
  minVersion: 'TLSv1.2',
});

/** Takes no new connection, waits up to `graceMs` for answers under way, then closes what is left. */
export function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.closeAllConnections();
    }, graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

import type { IncomingMessage } from 'node:http';
import { formatHostPort } from '../base/service.ts';

/**
 * Whose machine a request comes from: the other end of the socket. Forwarded headers do not count: anyone can write
 * them, and no balancer is listed as one to believe.
 */
export const clientAddress = (incoming: IncomingMessage): string =>
  formatHostPort({
    host: incoming.socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, '') ?? 'unknown',
    port: incoming.socket.remotePort ?? 0,
  });

import { createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { readFirstBytes } from '../../base/first-bytes.ts';
import { recognise, type Visitor } from './recognise.ts';

/** Who serves which visitors; those without anybody are turned away. */
export type Routes = Readonly<Partial<Record<Visitor, (connection: Duplex) => void>>>;

/**
 * Reads the first bytes of a connection, puts them back, and gives it to whoever serves such visitors. One
 * that has not shown what it is within `timeoutMs` is cut off.
 */
export function showIn(connection: Duplex, routes: Routes, timeoutMs: number): void {
  connection.on('error', () => connection.destroy()); // the other end's doing; `close` follows
  readFirstBytes(connection, {
    read: recognise,
    limitMs: timeoutMs,
    found: (visitor, first) => {
      const serve = routes[visitor];
      if (serve === undefined) {
        connection.destroy();
        return;
      }
      connection.unshift(first);
      serve(connection);
    },
  });
}

/** One port for several protocols. */
export const doorway = (routes: Routes, timeoutMs: number): Server =>
  createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 }, (socket) => {
    showIn(socket, routes, timeoutMs);
  });

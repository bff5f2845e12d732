import { createServer, type Server, type Socket } from 'node:net';
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
export interface Doorway {
  /** For `Listeners`. */
  readonly server: Server;
  /**
   * Accepts nothing new. Resolves when no connection is left; what is left when the time is `over` is cut.
   */
  close(over: Promise<void>): Promise<void>;
}

export function doorway(routes: Routes, timeoutMs: number): Doorway {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    showIn(socket, routes, timeoutMs);
  });
  return {
    server,
    close: async (over) => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
      void over.then(() => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
      // Connections handed over within this process were never accepted by the server, and are not waited for
      // above.
      await Promise.all([...sockets].map((socket) => new Promise((gone) => socket.once('close', gone))));
    },
  };
}

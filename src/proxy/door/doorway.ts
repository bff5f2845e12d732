import { createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { startTimer, stopTimer } from '../../base/timers.ts';
import { recognise, type Visitor } from './recognise.ts';

/** Who serves which visitors; those without anybody are turned away. */
export type Routes = Readonly<Partial<Record<Visitor, (connection: Duplex) => void>>>;

/**
 * Reads the first bytes of a connection, puts them back, and gives it to whoever serves such visitors. One
 * that has not shown what it is within `timeoutMs` is cut off.
 */
export function showIn(connection: Duplex, routes: Routes, timeoutMs: number): void {
  let first = Buffer.alloc(0);
  const settle = (): void => {
    stopTimer(impatient);
    connection.off('readable', read).off('end', turnAway);
  };
  const turnAway = (): void => {
    settle();
    connection.destroy();
  };
  const read = (): void => {
    for (
      let part = connection.read() as Buffer | null;
      part !== null;
      part = connection.read() as Buffer | null
    )
      first = Buffer.concat([first, part]);
    const visitor = recognise(first);
    if (visitor === undefined) return;
    const serve = routes[visitor];
    if (serve === undefined) {
      turnAway();
      return;
    }
    settle();
    connection.unshift(first);
    serve(connection);
  };
  const impatient = startTimer(turnAway, timeoutMs);
  connection.on('error', () => connection.destroy()); // the other end's doing; `close` follows
  connection.once('close', settle);
  connection.on('readable', read).once('end', turnAway);
}

/** One port for several protocols. */
export const doorway = (routes: Routes, timeoutMs: number): Server =>
  createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 }, (socket) => {
    showIn(socket, routes, timeoutMs);
  });

import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { startTimer, stopTimer } from './timers.ts';

/**
 * Each connection goes to `look` before the server, or whoever listens to it, sees it; `goOn` gives it to
 * them. Those that come from within this process pass here as well.
 */
export function lookAtConnections(
  server: Server,
  look: (connection: Duplex, goOn: () => void) => void,
): void {
  const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean;
  server.emit = (event: string, ...args: unknown[]): boolean => {
    if (event !== 'connection') return emit(event, ...args);
    look(args[0] as Duplex, () => {
      emit(event, ...args);
    });
    return true;
  };
}

/** What is awaited of a connection that has just come. */
export interface FirstBytes<Found extends object | string> {
  /** What the bytes so far mean; undefined while it takes more to know. */
  readonly read: (first: Buffer) => Found | undefined;
  /** Called with all bytes that have come, which are not in the stream any more. */
  readonly found: (found: Found, first: Buffer) => void;
  readonly limitMs: number;
  /** Called when the time is over, before the connection is closed. */
  readonly late?: () => void;
  /** Contains the connection meanwhile. */
  readonly waiting?: Set<Duplex>;
}

/**
 * Reads the first bytes of a connection until they mean something. One that ends before, fails, or is late,
 * is closed.
 */
export function readFirstBytes<Found extends object | string>(
  connection: Duplex,
  { read, found, limitMs, late, waiting }: FirstBytes<Found>,
): void {
  let first = Buffer.alloc(0);
  const settle = (): void => {
    stopTimer(limit);
    connection.off('readable', onReadable).off('end', end).off('error', end).off('close', settle);
    waiting?.delete(connection);
  };
  const end = (): void => void connection.destroy(); // `close` follows
  const onReadable = (): void => {
    let part = connection.read() as Buffer | null;
    if (part === null) return; // more will come, or its end
    for (; part !== null; part = connection.read() as Buffer | null) first = Buffer.concat([first, part]);
    const meaning = read(first);
    if (meaning === undefined) return;
    settle();
    found(meaning, first);
  };
  const limit = startTimer(() => {
    late?.();
    end();
  }, limitMs);
  waiting?.add(connection);
  connection.on('readable', onReadable).on('end', end).on('error', end).once('close', settle);
}

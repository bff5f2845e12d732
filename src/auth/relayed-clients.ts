import { type Server, Socket } from 'node:net';
import { tellClient } from '../base/client-of.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics, Strangers } from '../base/service.ts';
import { minute, second } from '../base/time.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import { believedClient, readRelayStatement, type RelayPolicy } from '../pki/relay-statement.ts';

export interface RelayedDeps {
  readonly policy: () => RelayPolicy;
  readonly strangers: Strangers;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** In milliseconds. */
  readonly monotonic: () => number;
}

/** From accept to the first byte, and to the end of a statement. */
const patienceMs = 10 * second;

/**
 * Takes what a proxy says of a machine that it passes on off its connection, before TLS begins. From then on
 * `clientOf` the connection is that machine. A statement that is not believed ends the connection.
 * @returns a function that closes the connections of which nothing has come yet: the server does not know
 *   them.
 */
export function takeRelayed(server: Server, deps: RelayedDeps): () => void {
  const waiting = new Set<Socket>();
  const emit = server.emit.bind(server) as (event: string, ...args: unknown[]) => boolean;
  const refusals = { toldAt: Number.NEGATIVE_INFINITY, count: 0 };
  const refuse = (socket: Socket, reason: string): void => {
    socket.destroy();
    refusals.count++;
    deps.metrics.add('auth_relayed_refused_total', 1);
    if (deps.monotonic() - refusals.toldAt < minute) return;
    refusals.toldAt = deps.monotonic();
    deps.sink.warn('connections that a proxy passed on were refused', {
      reason,
      refusedSoFar: refusals.count,
    });
  };
  // Whoever listens for connections must not see one before it has passed.
  server.emit = (event: string, ...args: unknown[]): boolean => {
    const [socket] = args;
    if (event !== 'connection' || !(socket instanceof Socket)) return emit(event, ...args);
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
    const goOn = (): void => {
      waiting.delete(socket);
      emit('connection', socket);
    };
    arrive(socket, deps, { goOn, refuse });
    return true;
  };
  return () => {
    for (const socket of waiting) socket.destroy();
  };
}

interface Ends {
  readonly goOn: () => void;
  readonly refuse: (socket: Socket, reason: string) => void;
}

function arrive(socket: Socket, { policy, strangers }: RelayedDeps, { goOn, refuse }: Ends): void {
  let first: Buffer = Buffer.alloc(0);
  const leave = (): void => {
    stopTimer(limit);
    socket.off('readable', read).off('end', end).off('error', end).off('close', leave);
  };
  const end = (): void => void socket.destroy(); // `close` follows
  const settle = (rest: Buffer): void => {
    leave();
    if (rest.length > 0) socket.unshift(rest);
    goOn();
  };
  const read = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return; // more will come, or its end
    first = Buffer.concat([first, chunk]);
    const reading = readRelayStatement(first);
    if (reading.status === 'incomplete') return;
    if (reading.status === 'absent') {
      settle(first);
      return;
    }
    try {
      if (reading.status === 'malformed') throw new Error('it is malformed');
      const client = believedClient(reading.said, policy());
      tellClient(socket, client);
      strangers.comesFrom(socket, client.host);
      settle(first.subarray(reading.bytes));
    } catch (e) {
      leave();
      refuse(
        socket,
        isCoded(e) ? e.message : `what a proxy said of a machine cannot be read: ${messageOf(e)}`,
      );
    }
  };
  const limit = startTimer(end, patienceMs);
  socket.on('readable', read).on('end', end).on('error', end).once('close', leave);
}

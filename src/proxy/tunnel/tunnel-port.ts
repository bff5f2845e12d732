import { Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientOf, type Ends } from '../../base/client-of.ts';
import { isCoded, messageOf } from '../../base/errors.ts';
import { joinStreams } from '../../base/join-streams.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { second } from '../../base/time.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';
import { doorway, type Routes } from '../door/doorway.ts';
import type { OpenRelay } from './relay-auth.ts';

const greetingMs = 10 * second;

/** A port of its own for links. */
export interface TunnelPort {
  /** For `Listeners`. */
  readonly server: Server;
  /**
   * Accepts nothing new. Resolves when no connection is left; what is left when the time is `over` is cut.
   */
  close(over: Promise<void>): Promise<void>;
}

export function tunnelPort(routes: Routes): TunnelPort {
  const server = doorway(routes, greetingMs);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    server,
    close: async (over) => {
      const closed = new Promise<void>((resolve) => {
        Server.prototype.close.call(server, () => {
          resolve();
        });
      });
      void over.then(() => {
        for (const socket of sockets) socket.destroy();
      });
      await closed;
    },
  };
}

/** How long a call that is under way to an auth server may last once the proxy ends. */
const lastCallMs = 10 * second;

/**
 * Connections that are passed on, unopened, to an auth server: the first ones of a machine, which has no
 * link yet.
 */
export class AuthRelay {
  readonly #open: OpenRelay;
  readonly #sink: LogSink;
  readonly #ending = new AbortController();
  readonly #carried = new Set<Promise<void>>();

  constructor(open: OpenRelay, sink: LogSink) {
    this.#open = open;
    this.#sink = sink;
  }

  readonly serve = (connection: Duplex): void => {
    const left = new AbortController();
    connection.once('close', () => {
      left.abort();
    });
    const carried = this.#open(clientOf(connection as Ends).address, left.signal)
      .then((server) => joinStreams(connection, server, { stop: this.#ending.signal }))
      .catch((e: unknown) => {
        connection.destroy();
        const level = isCoded(e) ? 'debug' : 'error';
        this.#sink[level]('a connection could not be passed on to an auth server', { reason: messageOf(e) });
      })
      .finally(() => this.#carried.delete(carried));
    this.#carried.add(carried);
  };

  /** Those that are under way have a moment to end. */
  async close(over: Promise<void>): Promise<void> {
    const cut = (): void => {
      this.#ending.abort();
    };
    const limit = startTimer(cut, lastCallMs);
    void over.then(cut);
    await Promise.all(this.#carried);
    stopTimer(limit);
  }
}

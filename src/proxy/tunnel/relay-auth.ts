import type { Duplex } from 'node:stream';
import { clientOf, type Ends } from '../../base/client-of.ts';
import { isCoded, messageOf } from '../../base/errors.ts';
import { joinStreams } from '../../base/join-streams.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';
import type { World } from '../../base/world.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { relayStatement } from '../../pki/relay-statement.ts';
import type { OpenAuth } from '../ssh/open-auth.ts';

/**
 * A connection to an auth server for a machine that this proxy passes on, which has been told from where
 * that comes.
 * @param client undefined: it has left.
 * @throws CodedError `unavailable`
 */
export type OpenRelay = (client: HostPort | undefined, signal: AbortSignal) => Promise<Duplex>;

export const relayOpener =
  (open: OpenAuth, identity: CurrentIdentity, world: Pick<World, 'now'>): OpenRelay =>
  async (client, signal) => {
    const server = await open({ by: 'a machine that is passed on', signal });
    if (client !== undefined) server.write(relayStatement({ client, at: world.now() }, identity.current()));
    return server;
  };

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

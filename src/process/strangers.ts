import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { descriptorLimit } from '../base/descriptor-limit.ts';
import { minute } from '../base/duration.ts';
import { lookAtConnections } from '../base/first-bytes.ts';
import type { LogSink } from '../base/log-sink.ts';
import { networkOf, plainAddress } from '../base/network-of.ts';
import { type Ends, endsOf } from '../base/client-of.ts';
import type { Metrics, Strangers } from '../base/service.ts';
import { Crowd } from './crowd.ts';
import type { RefusedHeaders } from './refused-headers.ts';

/** Of these the process itself needs about a hundred: the store, the log, its own connections. */
const ownDescriptors = 100;
/** Each waiting connection costs up to some ten kilobytes. */
const most = 4096;
const fewest = 16;

/** How many strangers a process accepts: a third of its descriptors; the rest is for known clients. */
export const strangersLimit = (descriptors: number = descriptorLimit() ?? 1024): number =>
  Math.min(most, Math.max(fewest, Math.floor((descriptors - ownDescriptors) / 3)));

export interface StrangersDeps {
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Load balancers: each of their connections comes from a different client. */
  readonly isBalancer: (ip: string) => boolean;
  /** Of a monotonic clock, in milliseconds. */
  readonly monotonic: () => number;
  readonly refusedHeaders: Pick<RefusedHeaders, 'count'>;
  readonly max?: number;
}

/** A connection, which has two ends where it is one of TCP. */
type Stranger = Duplex & Ends;

/** The strangers of all listeners of one process: they share its descriptors. */
export class ProcessStrangers implements Strangers {
  readonly #deps: StrangersDeps;
  readonly #max: number;
  readonly #crowd: Crowd<string>;
  readonly #sockets = new Map<string, { readonly socket: Stranger; readonly listener: string }>();
  #cut = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(deps: StrangersDeps) {
    this.#deps = deps;
    this.#max = deps.max ?? strangersLimit();
    this.#crowd = new Crowd(this.#max);
    deps.metrics.set('connections_not_logged_in', 0);
  }

  /** Counts every connection that `server` accepts, until it is authenticated or closed. */
  watch(listener: string, server: Server): void {
    // Also those that a service looks at before its own server sees them.
    lookAtConnections(server, (connection, goOn) => {
      this.enter(listener, connection);
      goOn();
    });
  }

  /** For a connection that its server does not see yet. */
  enter(listener: string, socket: Stranger): void {
    const id = endsOf(socket);
    if (id === undefined) return; // from within this process, or gone already
    this.#sockets.set(id, { socket, listener });
    socket.once('close', () => {
      if (this.#sockets.get(id)?.socket === socket) this.#leave(id);
    });
    const out = this.#crowd.enter(id, this.#groupOf(socket.remoteAddress ?? '', id));
    this.#deps.metrics.set('connections_not_logged_in', this.#crowd.size);
    if (out === undefined) return;
    this.#sockets.get(out.gone)?.socket.destroy();
    this.#sockets.delete(out.gone);
    this.#tell(listener, out.group);
  }

  comesFrom(socket: Socket, address: string): void {
    const id = endsOf(socket);
    if (id !== undefined) this.#crowd.move(id, this.#groupOf(address, id));
  }

  recognised(socket: Socket): void {
    const id = endsOf(socket);
    if (id !== undefined) this.#leave(id);
  }

  broughtHeader(socket: Socket): void {
    const { listener = 'unknown' } = this.#sockets.get(endsOf(socket) ?? '') ?? {};
    this.#deps.refusedHeaders.count(listener, 'unexpected', socket);
  }

  #leave(id: string): void {
    this.#crowd.leave(id);
    this.#sockets.delete(id);
    this.#deps.metrics.set('connections_not_logged_in', this.#crowd.size);
  }

  #groupOf(address: string, id: string): string {
    return this.#deps.isBalancer(plainAddress(address)) ? id : networkOf(address);
  }

  /** Once a minute is enough for the log; the metric counts each. */
  #tell(listener: string, group: string): void {
    const { sink, metrics, monotonic } = this.#deps;
    metrics.add('connections_cut_before_login_total', 1, { listener });
    this.#cut++;
    if (monotonic() - this.#toldAt < minute) return;
    this.#toldAt = monotonic();
    sink.warn(
      `more than ${this.#max} connections have not logged in: each new one ends the oldest of the source that has the most`,
      { busiest: group, connections: this.#crowd.sizeOf(group), cutSoFar: this.#cut },
    );
  }
}

import type { Server, Socket } from 'node:net';
import { descriptorLimit } from '../base/descriptor-limit.ts';
import { minute } from '../base/duration.ts';
import type { LogSink } from '../base/log-sink.ts';
import { networkOf, plainAddress } from '../base/network-of.ts';
import { formatHostPort, type Metrics, type Strangers } from '../base/service.ts';
import { Crowd } from './crowd.ts';

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
  readonly max?: number;
}

/** The strangers of all listeners of one process: they share its descriptors. */
export class ProcessStrangers implements Strangers {
  readonly #deps: StrangersDeps;
  readonly #max: number;
  readonly #crowd: Crowd<string>;
  readonly #sockets = new Map<string, Socket>();
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
    server.on('connection', (socket: Socket) => {
      this.#enter(listener, socket);
    });
  }

  comesFrom(socket: Socket, address: string): void {
    const id = idOf(socket);
    if (id !== undefined) this.#crowd.move(id, this.#groupOf(address, id));
  }

  recognised(socket: Socket): void {
    const id = idOf(socket);
    if (id !== undefined) this.#leave(id);
  }

  #enter(listener: string, socket: Socket): void {
    const id = idOf(socket);
    if (id === undefined) return; // from within this process, or gone already
    this.#sockets.set(id, socket);
    socket.once('close', () => {
      if (this.#sockets.get(id) === socket) this.#leave(id);
    });
    const out = this.#crowd.enter(id, this.#groupOf(socket.remoteAddress ?? '', id));
    this.#deps.metrics.set('connections_not_logged_in', this.#crowd.size);
    if (out === undefined) return;
    this.#sockets.get(out.gone)?.destroy();
    this.#sockets.delete(out.gone);
    this.#tell(listener, out.group);
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

/** Both ends: the same for a TCP connection and for the TLS on it. */
function idOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const local = { host: localAddress ?? '', port: localPort ?? 0 };
  return `${formatHostPort({ host: remoteAddress, port: remotePort })} ${formatHostPort(local)}`;
}

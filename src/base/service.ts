import type { Server, Socket } from 'node:net';
import type { Condition } from './condition.ts';

/** Something the process runs: an auth service, a proxy, a node. */
export interface Service {
  readonly name: string;
  /**
   * First phase: take resources (open the log, bind sockets). Resolves once ready.
   * A failure here is a configuration fault and ends the process.
   * @param stopping aborted when it is not wanted any more: a start that waits for something then gives up.
   */
  start(stopping?: AbortSignal): Promise<Running>;
  /**
   * While it starts: what it waits for, in one line; undefined when it waits for nothing that may stay away.
   */
  waitsFor?(): string | undefined;
}

/** Second phase: a service that is ready. */
export interface Running {
  /** Rejects if the service breaks by itself; resolves after `stop`. */
  readonly done: Promise<void>;
  /**
   * Whether it serves callers now, and what it lacks. Called often, so it returns at once, from what is
   * known.
   */
  condition(): Condition;
  /** For an operator who asks by USR1: counts, ages, positions. Never a secret. */
  diagnostics?(): Record<string, unknown>;
  /**
   * Accepts no new work, waits up to `graceMs` for the current, then closes. With `succeeded` another process
   * of this host serves already: connections between services are sent there at once, and the cluster is not
   * told that this host left.
   */
  stop(graceMs: number, succession?: Succession): Promise<void>;
}

export type Succession = 'none' | 'succeeded';

/**
 * Binds listeners. `process` implements it, so that a restart can hand a listener to a successor: services
 * ask for one by its name (`node`, `proxy:ssh`, `proxy:web`, `auth`, `diag`) and never call `server.listen`
 * themselves.
 */
export interface Listeners {
  /**
   * Starts `server` on `address` (host:port). Resolves to the bound address (port 0 becomes the real one).
   * @throws CodedError `misconfigured` when the port is taken or not allowed, naming the address and the
   *   setting.
   */
  listen(name: string, server: Server, address: HostPort): Promise<HostPort>;
  /** Accepted connections on any of them that have not authenticated. */
  readonly strangers: Strangers;
}

/**
 * Connections whose other end has not authenticated: their number is limited, by address and in all. When
 * there is one too many, the oldest of the busiest address is cut off. Every accepted connection is a
 * stranger at first.
 */
export interface Strangers {
  /** `socket` carries a client with another address, according to somebody we trust. */
  comesFrom(socket: Socket, address: string): void;
  /**
   * The other end, of the TCP connection or of the TLS on it, has authenticated: it is not a stranger any
   * more.
   */
  recognised(socket: Socket): void;
  /** It begins with a PROXY header, which nobody expects from it: it is refused, and counted. */
  broughtHeader(socket: Socket): void;
}

/** For listeners that are not open to everybody. */
export const noStrangers: Strangers = {
  comesFrom: () => undefined,
  recognised: () => undefined,
  broughtHeader: () => undefined,
};

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, with brackets around IPv6. */
export const formatHostPort = ({ host, port }: HostPort): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** Prometheus: the name of a counter ends like this, that of a gauge never does. */
export type CounterName = `${string}_total`;

/** Counters and gauges for `/metrics`. `process/diagnostics/metrics.ts` implements it. */
export interface Metrics {
  add(name: CounterName, value: number, labels?: Record<string, string>): void;
  set<Name extends string>(
    name: Name extends CounterName ? never : Name,
    value: number,
    labels?: Record<string, string>,
  ): void;
  /** Records a duration in seconds into a histogram. */
  observe(name: string, seconds: number, labels?: Record<string, string>): void;
}

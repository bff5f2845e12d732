import type { Socket } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import type { Deadline } from '../base/deadline.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { Caller, Who } from './operation.ts';

/** What one caller may ask, so that others are served too. */
export interface CallerLimits {
  /** One call of what `who` may call. @throws CodedError `quota` */
  call(caller: Caller, who: readonly Who[]): void;
  /** A log that is followed, until the function is called that comes back. @throws CodedError `quota` */
  follow(caller: Caller): () => void;
}

/** What every route of the server needs. */
export interface ServerDeps {
  /**
   * Who is at the other end, as the transport proved it.
   * @throws CodedError `access_denied` for a certificate that admits nobody.
   */
  readonly callerOf: (socket: Socket) => Caller;
  readonly limits: CallerLimits;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
}

/** One call under way. */
export interface Call {
  readonly caller: Caller;
  readonly requestId: string;
  /** Until when the caller waits. */
  readonly deadline: Deadline;
}

/** What a route finds in its context. */
export interface ServerEnv {
  Bindings: HttpBindings;
  Variables: { requestId: string; operation: string; startedAt: number };
}

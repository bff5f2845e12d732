import type { Socket } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import type { Deadline, Interruption } from '../base/deadline.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { RuleSubject } from '../domain/rule-access.ts';
import type { Caller, Operation } from './operation.ts';

/** Limits for one caller, so that others are served too. */
export interface CallerLimits {
  /** Counts one call of such an operation. @throws CodedError `quota` */
  call(caller: Caller, operation: Pick<Operation, 'who' | 'ofRecordings'>): void;
  /** Counts a followed log until the returned function is called. @throws CodedError `quota` */
  follow(caller: Caller): () => void;
}

/** Whether a server hears from its store: it may be reachable, and yet not be able to serve. */
export interface Serving {
  /** Why it can do nothing now; undefined while it can. */
  readonly refusal: () => string | undefined;
  /** Ends current calls once it can do nothing. */
  readonly interruption: Interruption;
}

/** What every route of the server needs. */
export interface ServerDeps {
  /**
   * Who is at the other end, as the transport proved it.
   * @throws CodedError `access_denied` for a certificate that admits nobody.
   */
  readonly callerOf: (socket: Socket) => Caller;
  readonly limits: CallerLimits;
  /**
   * The roles that a person has now, whose rules are asked. Default: nobody has any.
   * @throws CodedError `access_denied` where one of them is missing.
   */
  readonly rulesOf?: (caller: Extract<Caller, { kind: 'user' }>) => RuleSubject;
  /** Default: it always can. */
  readonly serving?: Serving;
  /** Wording for `no_space`, made from that of the store. Default: the same. */
  readonly noRoom?: (reason: string) => string;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
}

/** One call under way. */
export interface Call {
  readonly caller: Caller;
  /** Of a person, where it is asked what they may do. */
  readonly rules?: RuleSubject | undefined;
  readonly requestId: string;
  /** Until when the caller waits. */
  readonly deadline: Deadline;
}

/** What a route has in its context. */
export interface ServerEnv {
  Bindings: HttpBindings;
  Variables: { requestId: string; operation: string; startedAt: number };
}

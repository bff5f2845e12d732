import type { Position } from '../log/event.ts';
import type { Followable } from '../log/event-log.ts';
import type { InputOf, Operation, OutputOf } from './operation.ts';

/**
 * Calls the auth service. One connection pool, mutual TLS, fails over between addresses.
 * Interface only; `connectAuth` in `api/auth-connection.ts` opens one.
 */
export interface AuthClient {
  /**
   * @throws CodedError with the server's code; `unavailable` when no auth server replies (with which ones
   *   were tried, and why each failed).
   */
  call<Op extends Operation>(operation: Op, input: InputOf<Op>): Promise<OutputOf<Op>>;
  /**
   * The state and presence partitions, filtered to what this caller may see. Reconnects by itself; never
   * errors but `cursor_too_old`.
   */
  readonly state: Followable & Connected;
  readonly presence: Followable & Connected;
  /**
   * Addresses of the auth servers, in the order in which they would be tried now: the one that serves first.
   */
  servers(): readonly string[];
  close(): void;
}

export interface Connected {
  /** `since` is when the last response arrived, in ms of a monotonic clock. */
  connection(): { status: 'connected' } | { status: 'away'; since: number; reason: string };
  /**
   * For how many milliseconds the followed log may be out of date: since the server that was followed last
   * had everything in its store. Infinity before a server has reported it.
   */
  ageMs(): number;
  /** Last position known to exist at the server. */
  headSeen(): Position;
}

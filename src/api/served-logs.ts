import type { ClusterLog, ViewState } from '../log/event-log.ts';
import type { Partition, Recorded } from '../log/event.ts';
import type { LiveTail } from './live-tail.ts';
import type { Who } from './operation.ts';

/**
 * Which part of the log a caller may see. Decided by auth, enforced here. It depends on the kind of caller,
 * not on which one: thousands of followers see the same, and it is computed once for all of them.
 */
export interface LogPolicy {
  /** Who may follow this partition at all. */
  followers(partition: Partition): readonly Who[];
  visible(who: Who, partition: Partition, event: Recorded): boolean;
  /**
   * What they may have of a projection's snapshot: as if folded from the visible events; undefined for none.
   */
  snapshotFor(who: Who, partition: Partition, projection: string, state: unknown): unknown;
}

export interface ServedLogs {
  readonly log: ClusterLog;
  readonly tails: Readonly<Record<Partition, LiveTail>>;
  readonly policy: LogPolicy;
  /** The states of the server's own views, used instead of the stored snapshots. Default: none. */
  readonly views?: (partition: Partition) => readonly ViewState[];
  /**
   * A line is sent at least this often, so that a reader can distinguish a quiet log from a dead link; less
   * often to many thousand readers, who are told.
   */
  readonly keepAliveMs: number;
  /** How old this server's view of its store may be. Sent to readers. Default: 0. */
  readonly ageMs?: () => number;
  /**
   * Why followers should go to another server for now; undefined while this server's view of its store is
   * new. Default: never.
   */
  readonly trouble?: () => string | undefined;
  /** Aborted when the server stops: ends every stream. */
  readonly stopping: AbortSignal;
}

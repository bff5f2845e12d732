import type { ClusterLog, ViewState } from '../log/event-log.ts';
import type { Partition, Recorded } from '../log/event.ts';
import type { LiveTail } from './live-tail.ts';
import type { Who } from './operation.ts';

/**
 * Which part of the log a caller may see. Decided by auth, enforced here. It goes by what a caller is, not by
 * which: many thousand followers see the same, and it is found out once for all of them.
 */
export interface LogPolicy {
  /** Who may follow this partition at all. */
  followers(partition: Partition): readonly Who[];
  visible(who: Who, partition: Partition, event: Recorded): boolean;
  /**
   * What they may have of a projection's stored state: as if folded from what is visible; undefined for none.
   */
  snapshotFor(who: Who, partition: Partition, projection: string, state: unknown): unknown;
}

export interface ServedLogs {
  readonly log: ClusterLog;
  readonly tails: Readonly<Record<Partition, LiveTail>>;
  readonly policy: LogPolicy;
  /**
   * The states of the server's own views, to begin from instead of what the log has stored. Default: none.
   */
  readonly views?: (partition: Partition) => readonly ViewState[];
  /**
   * A line is sent at least so often, so that a reader can tell a quiet log from a dead link; less often to
   * many thousand readers, who are told.
   */
  readonly keepAliveMs: number;
  /** For how long what this server reads may be out of date. Told to readers. Default: 0. */
  readonly ageMs?: () => number;
  /**
   * Why followers are sent elsewhere for now; undefined while what this server reads of its store is new.
   * Default: never.
   */
  readonly trouble?: () => string | undefined;
  /** Aborted when the server stops: ends every stream. */
  readonly stopping: AbortSignal;
}

/** What one process appended to a partition since it opened the log. */
export interface AppendCounters {
  appends: number;
  events: number;
  batches: number;
  bytes: number;
  conflicts: number;
  /** Commits whose reply was lost and that had to be settled by batch id. */
  ambiguous: number;
  /** Time spent in commits, and what the slowest took. */
  commitMs: number;
  slowestCommitMs: number;
}

export const noAppends = (): AppendCounters => ({
  appends: 0,
  events: 0,
  batches: 0,
  bytes: 0,
  conflicts: 0,
  ambiguous: 0,
  commitMs: 0,
  slowestCommitMs: 0,
});

import { minute } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { type Partition, partitions, type Position } from '../../log/event.ts';

/** After a failure it is tried again this much later, whatever was written meanwhile. */
const retryMs = 5 * minute;
/** Failures are reported after this time: a store may be away for a moment. */
const patienceMs = 10 * minute;

interface Failing {
  /** For people. */
  readonly since: string;
  /** By a monotonic clock. */
  readonly began: number;
  readonly triedAt: number;
  readonly reason: string;
}

/**
 * How the snapshots of each partition go: one record for each, since a good one of `presence` says nothing
 * about `state`.
 */
export class SnapshotRecord {
  readonly #world: World;
  readonly #log: Pick<ClusterLog, 'inspect' | 'stats'>;
  /** More events than this after the newest usable snapshot, and something is wrong. */
  readonly #overdueEvents: number;
  readonly #failing = new Map<Partition, Failing>();
  /** Of the newest usable snapshot, as far as it was looked for. */
  readonly #usable = new Map<Partition, Position>();
  readonly #lookedAt = new Map<Partition, number>();

  constructor(world: World, log: Pick<ClusterLog, 'inspect' | 'stats'>, overdueEvents: number) {
    this.#world = world;
    this.#log = log;
    this.#overdueEvents = overdueEvents;
  }

  isFailing(partition: Partition): boolean {
    return this.#failing.has(partition);
  }

  /** Whether to try again after a failure; undefined: the last one did not fail. */
  mayRetry(partition: Partition): boolean | undefined {
    const failing = this.#failing.get(partition);
    return failing && this.#world.monotonic() - failing.triedAt >= retryMs;
  }

  failed(partition: Partition, reason: string): void {
    const now = this.#world.monotonic();
    const { since, began } = this.#failing.get(partition) ?? { since: this.#world.now(), began: now };
    this.#failing.set(partition, { since, began, triedAt: now, reason });
  }

  taken(partition: Partition, position: Position): void {
    this.#failing.delete(partition);
    this.#usable.set(partition, position);
  }

  /**
   * Looks in the store for the newest usable snapshot where that seems to be old: another auth server may
   * have taken one, or each attempt may have ended with its process.
   */
  async look(partition: Partition): Promise<void> {
    const now = this.#world.monotonic();
    const looked = this.#lookedAt.get(partition);
    if (this.#behind(partition) <= this.#overdueEvents) return;
    if (looked !== undefined && now - looked < retryMs) return;
    this.#lookedAt.set(partition, now);
    const { snapshots } = await this.#log.inspect(partition);
    const usable = snapshots.findLast(({ fault }) => fault === undefined)?.position ?? 0;
    this.#usable.set(partition, usable);
  }

  /** One line, of the first partition that has any. */
  trouble(): string | undefined {
    const now = this.#world.monotonic();
    for (const partition of partitions) {
      const failing = this.#failing.get(partition);
      if (failing !== undefined && now - failing.began > patienceMs)
        return `snapshots of the log fail since ${failing.since}: ${partition}: ${failing.reason}`;
      const behind = this.#behind(partition);
      // Not looked for: it is not known to be old.
      if (this.#lookedAt.has(partition) && behind > this.#overdueEvents)
        return `the newest usable snapshot of ${partition} is ${behind} events old: whoever opens the log reads all of them`;
    }
    return undefined;
  }

  #behind(partition: Partition): number {
    return this.#log.stats()[partition].position - (this.#usable.get(partition) ?? 0);
  }
}

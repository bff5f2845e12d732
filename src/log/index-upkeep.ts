import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Batch } from './batch.ts';
import { joins } from './joins.ts';
import { PartitionFold } from './partition-fold.ts';
import { SegmentedStreams } from './segmented-streams.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/**
 * With this many streams in memory it looks for a snapshot that another process took, and again after this
 * many more.
 */
const many = 16_384;
const more = 4_096;

/** Keeps the index of a fold's streams small, and repairs it. */
export class IndexUpkeep {
  readonly #driver: SlotDriver;
  readonly #snapshots: SnapshotStore;
  readonly #sink: LogSink;
  readonly #decode: (stored: StoredSlot) => Promise<Batch>;
  #limit = many;
  #running: Promise<void> | undefined;

  constructor(parts: {
    readonly driver: SlotDriver;
    readonly snapshots: SnapshotStore;
    readonly sink: LogSink;
    /** As the reader does it: only batches of this log. */
    readonly decode: (stored: StoredSlot) => Promise<Batch>;
  }) {
    this.#driver = parts.driver;
    this.#snapshots = parts.snapshots;
    this.#sink = parts.sink;
    this.#decode = parts.decode;
  }

  /** From here on the fold repairs its index by itself. */
  attach(fold: PartitionFold): void {
    const { streams } = fold;
    if (!(streams instanceof SegmentedStreams)) return;
    streams.repair = async () => {
      if (await this.adopt(fold)) return;
      const { partition, slot } = fold;
      this.#sink.warn('the index of streams is damaged: it is read from the log again', { partition, slot });
      await this.#rebuild(fold, streams);
    };
  }

  /** When the fold holds many streams, some may be in the store since another process took a snapshot. */
  look(fold: PartitionFold): void {
    const { streams } = fold;
    if (!(streams instanceof SegmentedStreams) || streams.held <= this.#limit || this.#running) return;
    this.#running = this.adopt(fold)
      .then(
        () => undefined,
        (e: unknown) => {
          this.#sink.debug('the search for a snapshot failed', { reason: messageOf(e) });
        },
      )
      .finally(() => {
        this.#limit = Math.max(many, streams.held + more);
        this.#running = undefined;
      });
  }

  /**
   * Releases from memory what is in the newest snapshot that the fold has reached. True when that snapshot
   * was new.
   */
  async adopt(fold: PartitionFold): Promise<boolean> {
    const { streams } = fold;
    if (!(streams instanceof SegmentedStreams)) return false;
    const before = streams.settledAt;
    for await (const manifest of this.#snapshots.newestFirst()) {
      if (manifest.slot <= before) return false;
      if (manifest.version !== 2 || manifest.slot > fold.slot) continue;
      if (!(await joins(this.#driver, manifest))) continue;
      await this.#snapshots.settle(fold, manifest);
      if (streams.settledAt !== before) return true;
    }
    return false;
  }

  /** For a writer of a snapshot that finds an unreadable run. */
  async repair(fold: PartitionFold): Promise<void> {
    if (fold.streams instanceof SegmentedStreams) await fold.streams.repair?.();
  }

  async close(): Promise<void> {
    await this.#running;
  }

  async #rebuild({ partition }: PartitionFold, streams: SegmentedStreams): Promise<void> {
    const until = streams.settledAt;
    const again = new PartitionFold(partition);
    for await (const stored of this.#driver.read(partition, 1)) {
      if (stored.slot > until) break;
      try {
        again.admit(await this.#decode(stored));
      } catch (e) {
        if (isCoded(e)) throw unreadable(e);
        throw e;
      }
    }
    if (again.slot !== until || !(again.streams instanceof SegmentedStreams)) throw unreadable(undefined);
    streams.unsettle(again.streams.entries(), until);
  }
}

const unreadable = (cause: unknown): CodedError =>
  new CodedError(
    'unavailable',
    'the index of streams is damaged, and the log it could be read from is not whole',
    { cause },
  );

import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Batch } from './batch.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { Sealing } from './sealing.ts';

/** Data keys of an append that was refused. */
export interface Discarded {
  readonly keyIds: readonly string[];
  /** The events for which they were made. */
  readonly eventIds: ReadonlySet<string>;
  /** The slot of the batch in which the events were last sent; undefined when nothing was sent. */
  readonly sentSlot: number | undefined;
}

/** How many may wait. More are left to the next search for orphans. */
const mostWaiting = 1_000;

/**
 * Data keys whose events were apparently not stored. A refusal alone proves little: a store may refuse a
 * write that it carries out. The keys are destroyed once the slot is known to hold another batch, since then
 * the events can never come. Those still waiting when the process ends are found as orphans.
 */
export class DiscardedKeys {
  readonly #reader: Pick<PartitionReader, 'fold' | 'listen' | 'batches'>;
  readonly #sealing: Pick<Sealing, 'destroy'>;
  readonly #sink: LogSink;
  #waiting: Discarded[] = [];
  #stopListening: (() => void) | undefined;
  readonly #underWay = new Set<Promise<void>>();

  constructor(parts: {
    readonly reader: Pick<PartitionReader, 'fold' | 'listen' | 'batches'>;
    readonly sealing: Pick<Sealing, 'destroy'>;
    readonly sink: LogSink;
  }) {
    this.#reader = parts.reader;
    this.#sealing = parts.sealing;
    this.#sink = parts.sink;
  }

  /** Never throws: the reason why the append failed is more useful to its caller. */
  async add(discarded: Discarded): Promise<void> {
    if (discarded.keyIds.length === 0) return;
    const { sentSlot } = discarded;
    if (sentSlot === undefined) {
      await this.#destroy(discarded.keyIds);
      return;
    }
    if (sentSlot <= this.#reader.fold.slot) {
      await this.#settleFrom(discarded, sentSlot);
      return;
    }
    if (this.#waiting.length >= mostWaiting)
      this.#left(discarded.keyIds, 'too many wait for their slot to be filled');
    else this.#waiting.push(discarded);
    this.#stopListening ??= this.#reader.listen((news) => {
      if (typeof news === 'object') this.#look(news);
    });
  }

  /** Resolves when everything that had begun is done. */
  async close(): Promise<void> {
    this.#stopListening?.();
    await Promise.all(this.#underWay);
  }

  #look(batch: Batch): void {
    const due = this.#waiting.filter(({ sentSlot = 0 }) => sentSlot <= batch.slot);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((one) => !due.includes(one));
    for (const one of due) this.#run(this.#settleFrom(one, one.sentSlot ?? batch.slot));
  }

  #run(work: Promise<void>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  /** The slot is filled: by the batch that these keys belong to, or by another one. */
  async #settleFrom({ keyIds, eventIds }: Discarded, slot: number): Promise<void> {
    try {
      for await (const batch of this.#reader.batches(slot)) {
        if (batch.slot !== slot) break;
        if (!batch.events.some((event) => eventIds.has(event.id))) await this.#destroy(keyIds);
        return;
      }
      this.#left(keyIds, 'the slot they were sent for was given up');
    } catch (e) {
      this.#left(keyIds, messageOf(e));
    }
  }

  async #destroy(keyIds: readonly string[]): Promise<void> {
    try {
      await this.#sealing.destroy(keyIds);
    } catch (e) {
      this.#left(keyIds, messageOf(e));
    }
  }

  #left(keyIds: readonly string[], reason: string): void {
    this.#sink.warn('data keys without an event stay in the vault', { keyIds, reason });
  }
}

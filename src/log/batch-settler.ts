import { performance } from 'node:perf_hooks';
import { backoffMs, pause, randomFraction } from '../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { AppendCounters } from './append-counters.ts';
import type { Batch } from './batch.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { Appended, SlotDriver } from './slot-driver.ts';

const retry = { baseMs: 5, maxMs: 500 };

/** What is known about a batch that was sent. */
interface Doubt {
  /** The store may hold it although it did not confirm that. */
  unsure: boolean;
  /** It may hold it, or may still get it: a reply was lost. */
  lost: boolean;
}

/** Brings one batch to its slot, or finds that the slot holds another one. */
export class BatchSettler {
  readonly #driver: SlotDriver;
  readonly #reader: PartitionReader;
  readonly #world: Pick<World, 'randomBytes'>;
  readonly #sink: LogSink;
  readonly #settleMs: number;
  readonly #counters: AppendCounters;

  constructor(parts: {
    readonly driver: SlotDriver;
    readonly reader: PartitionReader;
    readonly world: Pick<World, 'randomBytes'>;
    readonly sink: LogSink;
    /** How long the outcome of an unsettled batch is checked. */
    readonly settleMs: number;
    readonly counters: AppendCounters;
  }) {
    this.#driver = parts.driver;
    this.#reader = parts.reader;
    this.#world = parts.world;
    this.#sink = parts.sink;
    this.#settleMs = parts.settleMs;
    this.#counters = parts.counters;
  }

  /**
   * True once the batch is stored, false when another writer has its slot.
   * @throws CodedError `ambiguous` when that cannot be found out in time; otherwise the reason why it is not
   *   stored.
   */
  async commit(batch: Batch, stored: Uint8Array): Promise<boolean> {
    const began = performance.now();
    const doubt: Doubt = { unsure: false, lost: false };
    for (let attempt = 1; ; attempt++) {
      try {
        const outcome = await this.#try(batch, stored, doubt);
        if (outcome === 'committed') this.#measure(performance.now() - began);
        if (outcome !== 'not known') return outcome === 'committed' || outcome === 'is stored';
      } catch (e) {
        this.#takeFailure(e, doubt);
        if (performance.now() - began > this.#settleMs) throw unknownOutcome(this.#settleMs, e);
      }
      if (performance.now() - began > this.#settleMs)
        throw doubt.lost ? unknownOutcome(this.#settleMs, undefined) : unsettled(batch);
      await pause(backoffMs(attempt, retry.baseMs, retry.maxMs, randomFraction(this.#world)));
      if (await this.#seen(batch)) return this.#isStored(batch, doubt);
    }
  }

  async #try(
    batch: Batch,
    stored: Uint8Array,
    doubt: Doubt,
  ): Promise<'committed' | 'is stored' | 'is not stored' | 'not known'> {
    const after = { slot: batch.slot - 1, hash: batch.previous };
    const { status }: Appended = await this.#driver.append(batch.partition, after, stored);
    if (status === 'committed') return 'committed';
    // The taken slot may hold this very batch, from an attempt whose reply was lost.
    if (status === 'taken') doubt.unsure = true;
    await this.#reader.catchUp();
    if (this.#reader.fold.slot < batch.slot) return 'not known';
    return (await this.#isStored(batch, doubt)) ? 'is stored' : 'is not stored';
  }

  /** @throws the given error, when another attempt will not change it. */
  #takeFailure(e: unknown, doubt: Doubt): void {
    if (isCoded(e, 'ambiguous')) {
      [doubt.unsure, doubt.lost] = [true, true];
      this.#counters.ambiguous++;
      return;
    }
    const isFinal = !isCoded(e) || isCoded(e, 'damaged') || this.#reader.condition !== undefined;
    if (doubt.unsure && !isFinal) return;
    throw doubt.lost ? unknownOutcome(this.#settleMs, e) : e;
  }

  /**
   * Whether the slot of this batch has been written, by anybody. Also false when the store cannot reply now.
   */
  async #seen(batch: Batch): Promise<boolean> {
    try {
      await this.#reader.catchUp();
    } catch (e) {
      if (!isCoded(e)) throw e;
      this.#sink.debug('it cannot be read yet how an append ended', {
        partition: batch.partition,
        reason: messageOf(e),
      });
    }
    return this.#reader.fold.slot >= batch.slot;
  }

  /**
   * Whether the slot of this batch holds this batch; for a slot that was trimmed since, true if nothing was
   * in doubt.
   */
  async #isStored(batch: Batch, { unsure }: Doubt): Promise<boolean> {
    try {
      for await (const found of this.#reader.batches(batch.slot)) {
        if (found.slot !== batch.slot) break;
        return found.id === batch.id;
      }
    } catch (e) {
      if (!isCoded(e, 'cursor_too_old')) throw e;
    }
    if (!unsure) return false;
    throw unknownOutcome(this.#settleMs, undefined);
  }

  #measure(ms: number): void {
    this.#counters.commitMs += ms;
    this.#counters.slowestCommitMs = Math.max(this.#counters.slowestCommitMs, ms);
  }
}

const unsettled = ({ partition, slot }: Batch): CodedError =>
  new CodedError(
    'unavailable',
    `the store neither takes slot ${slot} of the ${partition} log nor shows why not: nothing was appended`,
  );

const unknownOutcome = (settleMs: number, cause: unknown): CodedError =>
  new CodedError(
    'ambiguous',
    `the store was silent for ${settleMs} ms: whether this was stored is not known, look before trying again`,
    { cause },
  );

import { CodedError } from '../base/errors.ts';
import { type Batch } from './batch.ts';
import { noHash } from './own-hash.ts';
import type { Partition, Position, Recorded, Revision, StreamName } from './event.ts';
import { type Fence, fenceAfter, fenceStream } from './fence.ts';
import { SegmentedStreams } from './segmented-streams.ts';
import { HeapStreams } from './stream-index.ts';

/** The position and the moment at which a slot begins. */
export interface SlotBegin {
  readonly firstPosition: Position;
  readonly firstAt: string;
}

/** One signpost into the slots. */
export interface Signpost extends SlotBegin {
  readonly slot: number;
}

/**
 * The stream whose facts fence compactors of the partition: the one that appended the last fact may continue.
 */
export const compactionStream = (partition: Partition): StreamName => `compaction-${partition}`;

/**
 * Signposts stand this many slots apart, or a power of two times as many where there would be too many of
 * them.
 */
const signpostEvery = 64;
const maxSignposts = 4_096;

/**
 * What must be known about a partition to write its next slot and to find events in it. Folded from its
 * batches.
 */
export class PartitionFold {
  readonly partition: Partition;
  slot = 0;
  position: Position = 0;
  /** Own hash of the newest batch. */
  hash: Buffer = noHash;
  /** Moment of the newest event; the next is not before it. */
  lastAt = '';
  /** Position of the newest fact of those who compact this partition. */
  compactedAt: Position = 0;
  /** Set while the partition takes no appends. */
  fence: Fence | undefined;
  /**
   * The first slot that has a MAC: from there on each has one, which covers everything before. Undefined:
   * none has.
   */
  authenticFrom: number | undefined;
  readonly streams: HeapStreams | SegmentedStreams;
  /** In order. */
  readonly signposts: Signpost[] = [];
  #signpostEvery = signpostEvery;

  /** True when the beginning is not known: a stream's first seen revision is then accepted. */
  #partial = false;

  constructor(partition: Partition) {
    this.partition = partition;
    this.streams = streamsOf(partition);
  }

  /** A fold that begins in the middle, just before `batch`. Enough to check later batches, not to write. */
  static before(batch: Batch): PartitionFold {
    const fold = new PartitionFold(batch.partition);
    fold.slot = batch.slot - 1;
    fold.position = batch.firstPosition - 1;
    fold.hash = batch.previous;
    fold.#partial = true;
    return fold;
  }

  /** @throws Error for a stream that this fold does not know: see `knows`. */
  revision(stream: StreamName): Revision {
    return this.streams.get(stream)?.revision ?? 0;
  }

  /** Whether the stream's revision is in memory. It stays there until this fold moves to its next slot. */
  knows(stream: StreamName): boolean {
    return this.streams.knows(stream, this.slot);
  }

  /** Resolves when all these streams are known. */
  async recall(streams: readonly StreamName[]): Promise<void> {
    while (!streams.every((one) => this.knows(one))) await this.streams.recall(streams);
  }

  /** Takes the next batch. Changes nothing when it throws CodedError `damaged`. */
  admit(batch: Batch): void {
    this.check(batch);
    const first = batch.events[0];
    if (this.slot % this.#signpostEvery === 0 && first)
      this.erect({ slot: batch.slot, firstPosition: batch.firstPosition, firstAt: first.cause.at });
    for (const event of batch.events) {
      this.streams.add(event.stream, batch.slot, event.revision);
      this.lastAt = event.cause.at;
      if (event.stream === compactionStream(this.partition)) this.compactedAt = event.position;
      if (event.stream === fenceStream(this.partition)) this.fence = fenceAfter(event);
    }
    if (batch.version === 2) this.authenticFrom ??= batch.slot;
    this.slot = batch.slot;
    this.position += batch.events.length;
    this.hash = batch.hash;
  }

  /** Adds the last signpost. */
  erect(signpost: Signpost): void {
    this.signposts.push(signpost);
    if (this.signposts.length <= maxSignposts) return;
    this.#signpostEvery *= 2;
    const every = this.#signpostEvery;
    // The first stays: slots before it may have been trimmed.
    const left = this.signposts.filter((one, i) => i === 0 || (one.slot - 1) % every === 0);
    this.signposts.splice(0, this.signposts.length, ...left);
  }

  /** The slot to begin at for events after `after`: it, or one of those after it, holds the next event. */
  slotBefore(after: Position): number {
    return this.between((one) => one.firstPosition <= after + 1).first;
  }

  /**
   * The slots where something that holds for slots up to one and for none after it ceases to hold: it may
   * hold for `first`, and does not for `end`, which may be the slot after the newest.
   */
  between(holds: (begin: SlotBegin) => boolean): { readonly first: number; readonly end: number } {
    let low = 0;
    let high = this.signposts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const one = this.signposts[middle];
      if (one && holds(one)) low = middle + 1;
      else high = middle;
    }
    return {
      first: this.signposts[low - 1]?.slot ?? 1,
      end: this.signposts[low]?.slot ?? this.slot + 1,
    };
  }

  /** Forgets where trimmed events were; streams keep their revision. */
  forgetBefore(slot: number): void {
    const keep = this.signposts.findLastIndex((one) => one.slot <= slot);
    if (keep > 0) this.signposts.splice(0, keep);
    this.streams.forgetBefore(slot);
  }

  #firstRevision(event: Recorded): Revision {
    return this.#partial ? event.revision : 1;
  }

  /** @throws CodedError `damaged` when the batch is not the next. */
  check(batch: Batch): void {
    const wrong = (reason: string): never => {
      throw new CodedError('damaged', reason);
    };
    if (batch.partition !== this.partition) wrong(`it was written for the partition ${batch.partition}`);
    if (batch.slot !== this.slot + 1) wrong(`it was written for slot ${batch.slot}, not ${this.slot + 1}`);
    if (!batch.previous.equals(this.hash)) wrong('the chain is broken: it does not follow the batch before');
    if (batch.firstPosition !== this.position + 1) wrong('its positions do not follow');
    if (batch.version === 1 && this.authenticFrom !== undefined) wrong(withoutMac(this.authenticFrom));
    this.#checkStreams(batch, wrong);
  }

  #checkStreams(batch: Batch, wrong: (reason: string) => never): void {
    const revisions = new Map<StreamName, Revision>();
    let at = this.lastAt;
    for (const event of batch.events) {
      const known = revisions.get(event.stream) ?? this.streams.get(event.stream)?.revision;
      const expected = known === undefined ? this.#firstRevision(event) : known + 1;
      if (event.revision !== expected)
        wrong(`${event.stream} goes on with revision ${event.revision}, not ${expected}`);
      if (event.cause.at < at) wrong('its time goes back');
      revisions.set(event.stream, event.revision);
      at = event.cause.at;
    }
  }
}

/** Only in `audit` do streams arise with every session, and only `state` is never trimmed. */
function streamsOf(partition: Partition): HeapStreams | SegmentedStreams {
  if (partition === 'audit') return new SegmentedStreams();
  return partition === 'state' ? new HeapStreams() : new HeapStreams(Number.POSITIVE_INFINITY);
}

/** A batch without a MAC where each has one. */
export const withoutMac = (from: number): string =>
  `it has no MAC, and from slot ${from} on each batch has one: somebody who does not hold the keyring wrote it`;

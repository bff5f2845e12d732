import { type Deadline, noDeadline } from '../base/deadline.ts';
import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import { type AppendCounters, noAppends } from './append-counters.ts';
import type { Authenticity } from './authenticity.ts';
import {
  type Batch,
  batchOverhead,
  decodeBatch,
  encodeBatch,
  maxBatchBytes,
  maxBatchEvents,
  upToDate,
} from './batch.ts';
import { BatchSettler } from './batch-settler.ts';
import type { Position, Revision, StreamName } from './event.ts';
import { fenceError, fenceStream } from './fence.ts';
import type { PartitionReader } from './partition-reader.ts';
import { authenticityFor } from './seal.ts';
import type { SlotDriver } from './slot-driver.ts';
import { type EventDraft, placeEvent } from './stored-event.ts';
import { uuidV7 } from './uuid-v7.ts';

/** The writes of one append, complete except for their place. */
export interface DraftWrite {
  readonly stream: StreamName;
  readonly expected: Revision;
  readonly events: readonly EventDraft[];
}

export interface AppenderOptions {
  readonly driver: SlotDriver;
  readonly reader: PartitionReader;
  readonly world: World;
  readonly writer: string;
  readonly sink: LogSink;
  /** How long the outcome of an unsettled append is checked. */
  readonly settleMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  /** Makes MACs. */
  readonly authenticity?: Authenticity | undefined;
}

/** Updated while an append is under way. */
export interface AppendTrace {
  /** The slot of the batch in which it was last sent; undefined when nothing of it has left this process. */
  sentSlot?: number;
}

interface Waiting {
  readonly writes: readonly DraftWrite[];
  readonly at: string;
  readonly events: number;
  readonly bytes: number;
  /** Whether the store was read, since more was expected than this process knew. */
  looked: boolean;
  readonly trace: AppendTrace;
  readonly deadline: Deadline;
  /** Only while this is the last position. */
  readonly head: Position | undefined;
  resolve(position: Position): void;
  reject(reason: unknown): void;
}

interface Group {
  readonly members: readonly Waiting[];
  readonly batch: Batch;
  readonly stored: Uint8Array;
}

/**
 * The total size of an append and others in its batch; a larger one goes alone, up to the limit of a batch.
 */
const groupBytes = 256 * 1024;
/** With fewer waiting appends than this, all go together. */
const twoHalvesFrom = 64;

/** Group commit: one batch is under way at a time, and the next takes all appends that wait. */
export class Appender {
  readonly counters: AppendCounters = noAppends();
  readonly #options: AppenderOptions;
  readonly #overhead: number;
  readonly #maxBytes: number;
  readonly #settler: BatchSettler;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #closed = false;
  /** Appends in the group that was stored last: their callers are likely to append again. */
  #lastGroup = 0;
  /** Set when the fold may be behind the store; then no conflict is declared before it has caught up. */
  #mustCatchUp = false;

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#settler = new BatchSettler({ ...options, counters: this.counters });
    this.#overhead = batchOverhead(options.reader.fold.partition, options.writer);
    this.#maxBytes = Math.min(maxBatchBytes, options.driver.limits.maxBatchBytes);
  }

  get waiting(): { readonly appends: number; readonly bytes: number } {
    return { appends: this.#waiting.length, bytes: this.#waitingBytes };
  }

  /**
   * Refuses, before anything is written, an append that can never fit, or any when the queue is full.
   * @throws CodedError `too_large`, `limit_exceeded`, `unavailable` when closed.
   */
  check(bytes: number, events: number): void {
    const { maxWaiting, maxWaitingBytes } = this.#options;
    if (this.#closed) throw new CodedError('unavailable', 'the log is closed');
    if (bytes + this.#overhead > this.#maxBytes)
      throw new CodedError(
        'too_large',
        `an append of ${bytes} bytes is above what a batch takes (${this.#maxBytes}, envelope included)`,
      );
    if (events > maxBatchEvents)
      throw new CodedError('too_large', `an append of ${events} events is above ${maxBatchEvents}`);
    if (this.#waiting.length >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes)
      throw new CodedError('limit_exceeded', 'too many appends are waiting for the store: try again later');
  }

  /**
   * @param trace is updated while this append is under way.
   * @param deadline once it is over, nothing is sent any more: the caller may have made the same request
   *   elsewhere.
   */
  append(
    writes: readonly DraftWrite[],
    at: string,
    {
      trace = {},
      deadline = noDeadline,
      head,
    }: {
      readonly trace?: AppendTrace;
      readonly deadline?: Deadline;
      readonly head?: Position | undefined;
    } = {},
  ): Promise<Position> {
    const events = writes.flatMap((write) => write.events);
    const bytes = events.reduce((sum, event) => sum + event.bytes, 0);
    this.check(bytes, events.length);
    return new Promise((resolve, reject) => {
      const size = { events: events.length, bytes };
      this.#waiting.push({ writes, at, ...size, looked: false, trace, deadline, head, resolve, reject });
      this.#waitingBytes += bytes;
      // The fence may have been lifted since.
      this.#mustCatchUp ||= this.#options.reader.fold.fence !== undefined;
      this.#running ??= this.#run();
    });
  }

  /** Refuses new appends, and resolves when the waiting ones are done. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    // Callers of the same turn share the first batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#round();
    this.#running = undefined;
  }

  async #round(): Promise<void> {
    const { reader } = this.#options;
    try {
      // Whatever stopped the reader may be over.
      if (this.#mustCatchUp || reader.condition) await this.#catchUp();
      await reader.fold.recall(this.#waiting.flatMap((one) => one.writes.map(({ stream }) => stream)));
    } catch (e) {
      const all = this.#waiting;
      this.#waiting = [];
      this.#refuseAll(all, e);
      return;
    }
    const members = this.#choose();
    if (members.length === 0) return;
    try {
      const group = this.#build(members);
      if (await this.#commit(group)) this.#settle(group);
      else this.#putBack(members);
    } catch (e) {
      this.#refuseAll(members, e);
    }
  }

  async #catchUp(): Promise<void> {
    await this.#options.reader.catchUp();
    this.#mustCatchUp = false;
  }

  /**
   * Takes from the queue what can be written now, in order. Refuses appends whose conditions cannot hold any
   * more. Leaves those that depend on this batch's outcome, or on slots that other processes may have
   * written.
   */
  #choose(): Waiting[] {
    const chosen: Waiting[] = [];
    const left: Waiting[] = [];
    const ahead = new Map<StreamName, Revision>();
    const maxBytes = Math.min(groupBytes, this.#maxBytes - this.#overhead);
    const most = this.#mostAppends();
    let events = 0;
    let bytes = 0;
    let full = false;
    for (const one of this.#waiting) {
      full ||= chosen.length > 0 && (events + one.events > maxBatchEvents || bytes + one.bytes > maxBytes);
      full ||= chosen.length >= most;
      // It was queued while others were recalled.
      full ||= one.writes.some(({ stream }) => !this.#options.reader.fold.knows(stream));
      const fit = full ? 'later' : this.#fit(one, ahead);
      if (fit === 'now') {
        chosen.push(one);
        events += one.events;
        bytes += one.bytes;
      } else if (fit === 'later') left.push(one);
      else {
        if (fit.code === 'conflict') this.counters.conflicts++;
        this.#waitingBytes -= one.bytes;
        one.reject(fit);
      }
    }
    this.#waiting = left;
    return chosen;
  }

  /**
   * Many callers are served in two halves: while the store works on one, the other gets its results, and its
   * next appends are prepared. With all in one batch, the store and this process would wait for each other in
   * turn.
   */
  #mostAppends(): number {
    const outstanding = this.#waiting.length + this.#lastGroup;
    return outstanding < twoHalvesFrom ? Number.POSITIVE_INFINITY : Math.ceil(outstanding / 2);
  }

  /** `ahead`: revisions that streams will have through what was chosen before; extended when `one` fits. */
  #fit(one: Waiting, ahead: Map<StreamName, Revision>): 'now' | 'later' | CodedError {
    const { fold } = this.#options.reader;
    const never = this.#refusal(one);
    if (never !== undefined) return never;
    // What was chosen before it would come between.
    if (one.head !== undefined && ahead.size > 0) return 'later';
    const own = new Map<StreamName, Revision>();
    for (const { stream, expected, events } of one.writes) {
      const known = own.get(stream) ?? ahead.get(stream) ?? fold.revision(stream);
      if (expected !== known)
        return ahead.has(stream)
          ? 'later'
          : this.#unexpected(one, conflict(stream, expected, known), expected > known);
      if (events.length > 0) own.set(stream, known + events.length);
    }
    for (const [stream, revision] of own) ahead.set(stream, revision);
    return 'now';
  }

  /** @param isAhead more is expected than this process knows: another one may have written it. */
  #unexpected(one: Waiting, refusal: CodedError, isAhead: boolean): 'later' | CodedError {
    if (!isAhead || one.looked) return refusal;
    one.looked = true;
    this.#mustCatchUp = true;
    return 'later';
  }

  /** Why it must not be written at all, whatever its revisions. */
  #refusal({ writes, deadline, head }: Waiting): CodedError | undefined {
    // Never sent, or sent for a slot that holds another batch.
    if (deadline.isOver()) return notWaitedFor();
    const { fence, partition, position } = this.#options.reader.fold;
    if (head !== undefined && head < position) return headConflict(head, position);
    const isOfLog = (): boolean => writes.some(({ stream }) => stream !== fenceStream(partition));
    return fence && isOfLog() ? fenceError(fence) : undefined;
  }

  #build(members: readonly Waiting[]): Group {
    const { reader, writer, world } = this.#options;
    const { fold } = reader;
    const streams = members.flatMap(({ writes }) => writes.map(({ stream }) => stream));
    const authenticity = authenticityFor(fold, streams, this.#options.authenticity);
    const revisions = new Map<StreamName, Revision>();
    const texts: string[] = [];
    let at = fold.lastAt;
    for (const one of members) {
      if (one.at > at) at = one.at;
      for (const { stream, events } of one.writes)
        for (const event of events) {
          const revision = (revisions.get(stream) ?? fold.revision(stream)) + 1;
          revisions.set(stream, revision);
          texts.push(placeEvent(event, revision, at));
        }
    }
    const stored = encodeBatch(
      {
        partition: fold.partition,
        slot: fold.slot + 1,
        firstPosition: fold.position + 1,
        previous: fold.hash,
        id: uuidV7(world),
        writer: authenticity ? writer : upToDate(writer),
      },
      texts,
      authenticity,
    );
    // Decoded before it is written: a batch that no reader could fold must never reach the store.
    const batch = decodeBatch(stored);
    fold.check(batch);
    return { members, batch, stored };
  }

  /** True once the group is stored, false when another writer has its slot. */
  #commit({ members, batch, stored }: Group): Promise<boolean> {
    for (const { trace } of members) trace.sentSlot = batch.slot;
    return this.#settler.commit(batch, stored);
  }

  #settle({ members, batch, stored }: Group): void {
    this.#options.reader.admit(batch, stored);
    this.counters.batches++;
    this.counters.appends += members.length;
    this.counters.events += batch.events.length;
    this.counters.bytes += batch.bytes;
    this.#lastGroup = members.length;
    for (const { bytes } of members) this.#waitingBytes -= bytes;
    // The next group goes to the store first; the finished callers continue while it works.
    if (this.#waiting.length > 0) setImmediate(answer, members, batch);
    else answer(members, batch);
  }

  #putBack(members: readonly Waiting[]): void {
    this.#waiting = [...members, ...this.#waiting];
  }

  #refuseAll(members: readonly Waiting[], reason: unknown): void {
    for (const one of members) {
      this.#waitingBytes -= one.bytes;
      one.reject(reason);
    }
  }
}

function answer(members: readonly Waiting[], { firstPosition }: Batch): void {
  let position = firstPosition - 1;
  for (const one of members) {
    position += one.events;
    one.resolve(position);
  }
}

const notWaitedFor = (): CodedError =>
  new CodedError('unavailable', 'nobody waits for this append any more: nothing was appended');

/** Something was appended since the head by which the caller decided. */
const headConflict = (expected: Position, known: Position): CodedError =>
  new CodedError('conflict', `the log is at position ${known}, not ${expected}`);

export const conflict = (stream: StreamName, expected: Revision, known: Revision): CodedError =>
  new CodedError('conflict', `${stream} is at revision ${known}, not ${expected}`);

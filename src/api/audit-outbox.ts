import { backoffMs, pause, randomFraction } from '../base/backoff.ts';
import { minute } from '../base/duration.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import { startTicker, stopTimer, type Timer } from '../base/timers.ts';
import type { World } from '../base/world.ts';
import type { ParsedAuditEvent } from '../domain/audit-event.ts';
import { type AuditClaim, ordinaryClaim } from './audit-claim.ts';
import { AuditBatches } from './audit-batches.ts';
import type { AuthClient } from './client.ts';
import { fitEvent, gapFor, jsonBytes } from './fit-event.ts';
import { emitAudit } from './operations/audit.ts';
import { type RefusedEvents, refusedEvents } from './refused-events.ts';
import { openSpool, type Spool, type Spooled } from './spool.ts';
import { type DiskState, SpoolDisk } from './spool-disk.ts';
import { type KeptEvent, SpoolWriter } from './spool-writer.ts';
import { checkEvent, eventIn, isInMemory, numbersOf, sameLife } from './spooled-events.ts';

/**
 * Audit events on their way to the auth service: on disk before the caller continues, delivered in order,
 * never dropped.
 */
export interface AuditOutbox {
  /**
   * Durable in the spool when it resolves. While the spool is full it waits, which slows the session down.
   * Texts of more than 16 KB are cut, which the event records (`fitEvent`); an event that is still too large
   * is replaced by a `gap`. With a claim an event may be stored where others cannot: in the spool's reserve,
   * in memory, or directly at the auth service.
   * @throws CodedError `no_space` or `unavailable` when the disk does not accept it; `unavailable` also when
   *   the auth service may have stored it and did not reply in time.
   */
  emit(event: ParsedAuditEvent, claim?: AuditClaim): Promise<void>;
  /** Whether the disk accepts writes to the spool. */
  disk(): DiskState;
  /** How many events the auth service does not have yet. */
  pending(): number;
  /**
   * How many could not be stored, and were replaced by a `gap`; they are in `refused.ndjson` beside the
   * spool.
   */
  refused(): number;
  trouble(): string | undefined;
  /** Events that are not delivered stay on disk for the next start. */
  close(): Promise<void>;
}

export interface OutboxOptions {
  /** 0700; made when missing. */
  readonly directory: string;
  readonly client: Pick<AuthClient, 'call'>;
  readonly sink: LogSink;
  readonly world: World;
  /** How many events may wait before `emit` does. */
  readonly maxPending: number;
  readonly maxPendingBytes?: number;
  /** How long, at close, a working connection has to deliver the waiting events. */
  readonly drainMs?: number;
  /** File space that is reserved for events with a claim, when the disk is full. */
  readonly reserveBytes?: number;
  /** The longest wait for the auth service where it must store an event that the disk did not accept. */
  readonly confirmMs?: number;
}

/** The log accepts events of 64 KB, including what it adds to them. */
const usual = { event: 60 * 1024, text: 16 * 1024 };
/** Where an auth server does not even accept that. */
const least = { event: 8 * 1024, text: 2 * 1024 };
/** How often it adopts the files of processes that have ended since it began. */
const adoptEveryMs = 15_000;
const backoff = { baseMs: 250, maxMs: 10_000 };
/**
 * The longest wait where auth reported when it accepts more, since another auth server may accept earlier.
 */
const longestWaitMs = minute;
const askedToWaitMs = (e: unknown): number => (isCoded(e) ? (e.retryAfterMs ?? 0) : 0);

/**
 * `cut` and `gap` replace the record in the spool; after a crash the record is sent again, and becomes the
 * same event.
 */
interface Waiting extends KeptEvent {
  readonly form: 'whole' | 'cut' | 'gap';
  /** Whether its text is known to be a valid event: it was emitted here, or parsed when it was first sent. */
  checked: boolean;
}
const asFound = (records: readonly Spooled[]): Waiting[] =>
  records.map((record) => ({ ...record, form: 'whole', checked: false }));

export async function openAuditOutbox(options: OutboxOptions): Promise<AuditOutbox> {
  const unique = Buffer.from(options.world.randomBytes(4)).toString('hex');
  const { directory, sink, reserveBytes } = options;
  const { spool, found, adopt } = await openSpool(directory, unique, sink, reserveBytes);
  if (found.length > 0)
    options.sink.info('audit events of an earlier run are delivered now', { count: found.length });
  return new Outbox(options, { spool, adopt }, found);
}

class Outbox implements AuditOutbox {
  readonly #options: OutboxOptions;
  readonly #spool: Spool;
  readonly #waiting: Waiting[];
  readonly #closed = new AbortController();
  readonly #sender: Promise<void>;
  #bytes = 0;
  #wake: () => void = () => undefined;
  /** Called when nothing waits any more, or nothing can be delivered now. */
  #settled: () => void = () => undefined;
  #away: { since: Instant; reason: string } | undefined;
  readonly #refused: RefusedEvents;
  readonly #batches = new AuditBatches();
  readonly #adopting: Timer;
  readonly #disk: SpoolDisk;
  readonly #writer: SpoolWriter;
  /** Ends the pause of the sender. */
  #hurry: () => void = () => undefined;

  constructor(
    options: OutboxOptions,
    { spool, adopt }: { readonly spool: Spool; readonly adopt: () => Promise<Spooled[]> },
    found: Spooled[],
  ) {
    this.#options = options;
    this.#spool = spool;
    this.#adopting = startTicker(() => void this.#adopt(adopt), adoptEveryMs);
    this.#adopting.unref();
    this.#waiting = asFound(found);
    for (const one of found) this.#bytes += one.bytes;
    this.#refused = refusedEvents(options.directory);
    this.#disk = new SpoolDisk(options);
    this.#writer = new SpoolWriter({
      ...options,
      spool,
      disk: this.#disk,
      waiting: () => this.#waiting,
      waitingBytes: () => this.#bytes,
      keep: (written) => {
        this.#keep(written);
      },
      sendAtOnce: () => {
        this.#hurry();
      },
      away: () => this.#away?.reason,
    });
    this.#sender = this.#send();
  }

  async emit(event: ParsedAuditEvent, claim: AuditClaim = ordinaryClaim): Promise<void> {
    if (this.#closed.signal.aborted) throw new CodedError('unavailable', 'the audit spool is closed');
    const text = JSON.stringify(fitEvent(event, usual) ?? (await this.#tooLarge(event)));
    await this.#writer.write(text, claim);
  }

  pending(): number {
    return this.#waiting.length + this.#writer.queued();
  }

  refused(): number {
    return this.#refused.count();
  }

  disk(): DiskState {
    return this.#disk.state();
  }

  trouble(): string | undefined {
    const waits = `${this.pending()} audit events wait`;
    const full = this.#writer.room() ? '' : '; the spool is full, so sessions wait too';
    if (this.#away)
      return `${waits} for the auth server since ${this.#away.since}: ${this.#away.reason}${full}`;
    return full === '' ? undefined : `${waits}${full}`;
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    stopTimer(this.#adopting);
    if (!this.#away && this.pending() > 0) {
      const settled = new AbortController();
      this.#settled = () => {
        settled.abort();
      };
      await pause(this.#options.drainMs ?? 2_000, settled.signal);
    }
    this.#closed.abort();
    this.#wake();
    this.#writer.refuseQueued();
    await this.#sender;
    await this.#writer.close();
    await this.#spool.close();
  }

  /** Events that an earlier process of this host left when it ended, because it could not deliver them. */
  async #adopt(look: () => Promise<Spooled[]>): Promise<void> {
    try {
      const found = await look();
      if (found.length === 0 || this.#closed.signal.aborted) return;
      this.#options.sink.info('audit events of a process that has ended are delivered now', {
        count: found.length,
      });
      this.#waiting.push(...asFound(found));
      for (const one of found) this.#bytes += one.bytes;
      this.#wake();
    } catch (e) {
      this.#options.sink.warn('the audit spool could not be looked through', { reason: messageOf(e) });
    }
  }

  #keep(written: readonly KeptEvent[]): void {
    this.#waiting.push(...written.map((one) => ({ ...one, form: 'whole' as const, checked: true })));
    for (const one of written) this.#bytes += one.bytes;
    this.#wake();
  }

  async #send(): Promise<void> {
    const { signal } = this.#closed;
    const over = (): boolean => signal.aborted;
    let failures = 0;
    while (!over()) {
      if (this.#waiting.length === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      const batch = this.#batches.next(this.#waiting, sameLife);
      try {
        await orClosed(this.#deliver(batch), signal);
        if (over()) return;
        failures = 0;
        this.#back();
        this.#batches.taken();
        await this.#done(batch);
      } catch (e) {
        if (over()) return;
        if (await this.#afterRefusal(batch, e)) continue;
        failures++;
        this.#failed(messageOf(e));
        const random = randomFraction(this.#options.world);
        const waitMs = backoffMs(failures, backoff.baseMs, backoff.maxMs, random);
        await this.#rest(Math.max(waitMs, Math.min(longestWaitMs, askedToWaitMs(e))));
      }
    }
  }

  /** Until the time is over, or something must be sent at once. */
  async #rest(ms: number): Promise<void> {
    const hurry = new AbortController();
    this.#hurry = () => {
      hurry.abort();
    };
    await pause(ms, AbortSignal.any([this.#closed.signal, hurry.signal]));
  }

  async #deliver(batch: readonly Waiting[]): Promise<void> {
    for (const one of batch)
      if (!one.checked) {
        checkEvent(one);
        one.checked = true;
      }
    await this.#options.client.call(emitAudit, {
      events: batch.map(eventIn),
      numbered: numbersOf(batch),
    });
  }

  /** True when there is something else to send now: fewer events, or a replacement for this one. */
  async #afterRefusal(batch: readonly Waiting[], e: unknown): Promise<boolean> {
    const next = this.#batches.refused(batch, e);
    const [only] = batch;
    if (next === 'later' || only === undefined) return false;
    if (next === 'next') return true;
    try {
      await this.#replace(only, next, messageOf(e));
      return true;
    } catch (failed) {
      // The disk accepts nothing now: the event stays where it is.
      this.#options.sink.warn('an audit event that is refused cannot be put aside', {
        reason: messageOf(failed),
      });
      return false;
    }
  }

  /** The first that waits is cut or, where that does not help, replaced by a gap. */
  async #replace(only: Waiting, next: 'too large' | 'never', reason: string): Promise<void> {
    const { sink, world } = this.#options;
    const cut = next === 'too large' && only.form === 'whole' ? fitEvent(eventIn(only), least) : undefined;
    if (cut !== undefined) {
      sink.warn('the auth server takes no audit event of this size: it is cut', {
        reason,
        bytes: only.bytes,
      });
      this.#standIn(only, cut, 'cut');
    } else if (only.form === 'gap') {
      sink.error('the auth server does not even take the event that reports a gap in the audit', {
        reason,
        event: only.text,
      });
      await this.#done([only]);
    } else {
      await this.#putAside(only.text, reason);
      this.#standIn(only, gapFor(only.text, reason, world.now()), 'gap');
    }
  }

  #standIn(only: Waiting, event: ParsedAuditEvent, form: 'cut' | 'gap'): void {
    const text = JSON.stringify(event);
    const bytes = Buffer.byteLength(text);
    this.#bytes += bytes - only.bytes;
    this.#waiting[0] = { ...only, text, bytes, form, checked: true };
  }

  async #done(batch: readonly Waiting[]): Promise<void> {
    this.#waiting.splice(0, batch.length);
    for (const one of batch) {
      this.#bytes -= one.bytes;
      one.delivered?.();
    }
    this.#writer.roomAgain();
    await this.#spool.taken(batch.filter((one) => !isInMemory(one)));
    if (this.pending() === 0) this.#settled();
  }

  /** Returns what is stored instead. */
  async #tooLarge(event: ParsedAuditEvent): Promise<ParsedAuditEvent> {
    const text = JSON.stringify(event);
    const reason = `it has ${jsonBytes(event)} bytes, and may have ${usual.event}`;
    await this.#putAside(text, reason);
    return gapFor(text, reason, this.#options.world.now());
  }

  async #putAside(text: string, reason: string): Promise<void> {
    await this.#refused.keep(text);
    this.#options.sink.error('an audit event cannot be stored: it is kept aside and reported as a gap', {
      reason,
      keptIn: this.#refused.path,
    });
  }

  #failed(reason: string): void {
    if (!this.#away)
      this.#options.sink.warn('audit events cannot be delivered: they wait on disk', { reason });
    this.#away = { since: this.#away?.since ?? this.#options.world.now(), reason };
    this.#settled();
  }

  #back(): void {
    if (this.#away) this.#options.sink.info('audit events are delivered again', { since: this.#away.since });
    this.#away = undefined;
  }
}

/** A delivery in progress when the outbox is closed is abandoned: it will be sent again, and stored once. */
async function orClosed(work: Promise<void>, signal: AbortSignal): Promise<void> {
  let release: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    release = resolve;
    signal.addEventListener('abort', release);
  });
  try {
    await Promise.race([work, closed]);
  } finally {
    signal.removeEventListener('abort', release);
  }
}

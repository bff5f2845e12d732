import { backoffMs, pause } from '../base/backoff.ts';
import { minute } from '../base/duration.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { AuditNumbers } from '../domain/audit.ts';
import { type AuditEvent, auditEvent } from '../domain/audit-event.ts';
import { AuditBatches } from './audit-batches.ts';
import type { AuthClient } from './client.ts';
import { fitEvent, gapFor, jsonBytes } from './fit-event.ts';
import { emitAudit } from './operations.ts';
import { type RefusedEvents, refusedEvents } from './refused-events.ts';
import { numberKey, openSpool, type Spool, type Spooled } from './spool.ts';
import { issuesOf, jsonOrUndefined } from './wire-errors.ts';

/** Audit events on their way to the auth service: on disk before anyone goes on, delivered in order, never dropped. */
export interface AuditOutbox {
  /**
   * Durable in the spool when it resolves. While the spool is full it waits: that is the back-pressure on the session.
   * Texts of more than 16 KB are cut, and the event says so (`fitEvent`); of one that is too large all the same a `gap`
   * is stored.
   * @throws CodedError `bad_request` for what is no audit event, `no_space` or `unavailable` when the disk does not take it.
   */
  emit(event: AuditEvent): Promise<void>;
  /** How many events the auth service does not have yet. */
  pending(): number;
  /** How many could not be stored, and were told as a `gap`; they lie in `refused.ndjson` beside the spool. */
  refused(): number;
  trouble(): string | undefined;
  /** What is not delivered stays on disk for the next start. */
  close(): Promise<void>;
}

export interface OutboxOptions {
  /** 0700; made when missing. */
  readonly directory: string;
  readonly client: Pick<AuthClient, 'call'>;
  readonly sink: LogSink;
  readonly world: World;
  /** Events that may wait before `emit` does. */
  readonly maxPending: number;
  readonly maxPendingBytes?: number;
  /** At close, a healthy link gets so long to take what waits. */
  readonly drainMs?: number;
}

/** The log takes events of 64 KB, with what it wraps them in. */
const usual = { event: 60 * 1024, text: 16 * 1024 };
/** Where an auth server does not even take that. */
const least = { event: 8 * 1024, text: 2 * 1024 };
/** Writes of so many callers share one fsync. */
const groupEvents = 256;
/** Adopting what processes left that have ended since we began. */
const adoptEveryMs = 15_000;
const backoff = { baseMs: 250, maxMs: 10_000 };
/** Where auth says when it takes more: so long at most, since another auth server may take it sooner. */
const longestWaitMs = minute;
const askedToWaitMs = (e: unknown): number => (isCoded(e) ? (e.retryAfterMs ?? 0) : 0);

/** `cut` and `gap` stand for the record in the spool; after a crash that one is sent again, and ends as the same event. */
interface Waiting extends Spooled {
  readonly form: 'whole' | 'cut' | 'gap';
}
const whole = (records: readonly Spooled[]): Waiting[] =>
  records.map((record) => ({ ...record, form: 'whole' }));

interface Queued {
  readonly text: string;
  readonly resolve: () => void;
  readonly reject: (e: unknown) => void;
}

export async function openAuditOutbox(options: OutboxOptions): Promise<AuditOutbox> {
  const unique = Buffer.from(options.world.randomBytes(4)).toString('hex');
  const { spool, found, adopt } = await openSpool(options.directory, unique, options.sink);
  if (found.length > 0)
    options.sink.info('audit events of an earlier run are delivered now', { count: found.length });
  return new Outbox(options, { spool, adopt }, found);
}

class Outbox implements AuditOutbox {
  readonly #options: OutboxOptions;
  readonly #spool: Spool;
  readonly #waiting: Waiting[];
  readonly #queue: Queued[] = [];
  readonly #closed = new AbortController();
  readonly #sender: Promise<void>;
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  /** Called when nothing waits any more, or cannot be delivered now. */
  #settled: () => void = () => undefined;
  #away: { since: Instant; reason: string } | undefined;
  readonly #refused: RefusedEvents;
  readonly #batches = new AuditBatches();
  readonly #adopting: NodeJS.Timeout;

  constructor(
    options: OutboxOptions,
    { spool, adopt }: { readonly spool: Spool; readonly adopt: () => Promise<Spooled[]> },
    found: Spooled[],
  ) {
    this.#options = options;
    this.#spool = spool;
    this.#adopting = setInterval(() => void this.#adopt(adopt), adoptEveryMs);
    this.#adopting.unref();
    this.#waiting = whole(found);
    for (const one of found) this.#bytes += one.bytes;
    this.#refused = refusedEvents(options.directory);
    this.#sender = this.#send();
  }

  async emit(event: AuditEvent): Promise<void> {
    if (this.#closed.signal.aborted) throw new CodedError('unavailable', 'the audit spool is closed');
    const parsed = auditEvent.safeParse(event);
    if (!parsed.success) throw new CodedError('bad_request', `not an audit event: ${issuesOf(parsed.error)}`);
    const text = JSON.stringify(fitEvent(parsed.data, usual) ?? (await this.#tooLarge(parsed.data)));
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ text, resolve, reject });
      this.#write();
    });
  }

  pending(): number {
    return this.#waiting.length + this.#queue.length;
  }

  refused(): number {
    return this.#refused.count();
  }

  trouble(): string | undefined {
    const waits = `${this.pending()} audit events wait`;
    const full = this.#room() ? '' : '; the spool is full, so sessions wait too';
    if (this.#away)
      return `${waits} for the auth server since ${this.#away.since}: ${this.#away.reason}${full}`;
    return full === '' ? undefined : `${waits}${full}`;
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    clearInterval(this.#adopting);
    if (!this.#away && this.pending() > 0) {
      const settled = new AbortController();
      this.#settled = () => {
        settled.abort();
      };
      await pause(this.#options.drainMs ?? 2_000, settled.signal);
    }
    this.#closed.abort();
    this.#wake();
    for (const { reject } of this.#queue.splice(0))
      reject(new CodedError('unavailable', 'the audit spool was closed before there was room'));
    await this.#sender;
    await this.#writing;
    await this.#spool.close();
  }

  /** What an earlier process of this host left behind when it ended, since it could not deliver it. */
  async #adopt(look: () => Promise<Spooled[]>): Promise<void> {
    try {
      const found = await look();
      if (found.length === 0 || this.#closed.signal.aborted) return;
      this.#options.sink.info('audit events of a process that has ended are delivered now', {
        count: found.length,
      });
      this.#waiting.push(...whole(found));
      for (const one of found) this.#bytes += one.bytes;
      this.#wake();
    } catch (e) {
      this.#options.sink.warn('the audit spool could not be looked through', { reason: messageOf(e) });
    }
  }

  #room(): boolean {
    const { maxPending, maxPendingBytes = 32 * 1024 * 1024 } = this.#options;
    return this.#waiting.length < maxPending && this.#bytes < maxPendingBytes;
  }

  #write(): void {
    this.#writing ??= this.#writeGroups().finally(() => {
      this.#writing = undefined;
      // Room may have been made after the loop looked for it.
      if (this.#queue.length > 0 && this.#room()) this.#write();
    });
  }

  async #writeGroups(): Promise<void> {
    while (this.#queue.length > 0 && this.#room()) {
      const room = Math.min(groupEvents, this.#options.maxPending - this.#waiting.length);
      const group = this.#queue.splice(0, room);
      try {
        const written = await this.#spool.write(group.map((one) => one.text));
        this.#waiting.push(...whole(written));
        for (const one of written) this.#bytes += one.bytes;
        for (const one of group) one.resolve();
        this.#wake();
      } catch (e) {
        for (const one of group) one.reject(e);
      }
    }
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
        const random = (this.#options.world.randomBytes(1)[0] ?? 0) / 256;
        const waitMs = backoffMs(failures, backoff.baseMs, backoff.maxMs, random);
        await pause(Math.max(waitMs, Math.min(longestWaitMs, askedToWaitMs(e))), signal);
      }
    }
  }

  async #deliver(batch: readonly Waiting[]): Promise<void> {
    await this.#options.client.call(emitAudit, {
      events: batch.map(eventIn),
      numbered: numbersOf(batch),
    });
  }

  /** True when there is something else to be sent now: fewer events, or another one in the place of this. */
  async #afterRefusal(batch: readonly Waiting[], e: unknown): Promise<boolean> {
    const next = this.#batches.refused(batch, e);
    const [only] = batch;
    if (next === 'later' || only === undefined) return false;
    if (next === 'next') return true;
    try {
      await this.#replace(only, next, messageOf(e));
      return true;
    } catch (failed) {
      // The disk takes nothing now: it stays where it is.
      this.#options.sink.warn('an audit event that is refused cannot be put aside', {
        reason: messageOf(failed),
      });
      return false;
    }
  }

  /** The first that waits is cut or, where that does not help, told as a gap. */
  async #replace(only: Waiting, next: 'too large' | 'never', reason: string): Promise<void> {
    const { sink, world } = this.#options;
    const cut = next === 'too large' && only.form === 'whole' ? fitEvent(eventIn(only), least) : undefined;
    if (cut !== undefined) {
      sink.warn('the auth server takes no audit event of this size, it is cut', {
        reason,
        bytes: only.bytes,
      });
      this.#standIn(only, cut, 'cut');
    } else if (only.form === 'gap') {
      sink.error('the auth server does not even take that there is a gap in the audit', {
        reason,
        event: only.text,
      });
      await this.#done([only]);
    } else {
      await this.#putAside(only.text, reason);
      this.#standIn(only, gapFor(only.text, reason, world.now()), 'gap');
    }
  }

  #standIn(only: Waiting, event: AuditEvent, form: 'cut' | 'gap'): void {
    const text = JSON.stringify(event);
    const bytes = Buffer.byteLength(text);
    this.#bytes += bytes - only.bytes;
    this.#waiting[0] = { ...only, text, bytes, form };
  }

  async #done(batch: readonly Waiting[]): Promise<void> {
    this.#waiting.splice(0, batch.length);
    for (const one of batch) this.#bytes -= one.bytes;
    this.#write();
    await this.#spool.taken(batch);
    if (this.pending() === 0) this.#settled();
  }

  /** Answers what is stored instead. */
  async #tooLarge(event: AuditEvent): Promise<AuditEvent> {
    const text = JSON.stringify(event);
    const reason = `it has ${jsonBytes(event)} bytes, and may have ${usual.event}`;
    await this.#putAside(text, reason);
    return gapFor(text, reason, this.#options.world.now());
  }

  async #putAside(text: string, reason: string): Promise<void> {
    await this.#refused.keep(text);
    this.#options.sink.error('an audit event cannot be stored, it is kept aside and told as a gap', {
      reason,
      keptIn: this.#refused.path,
    });
  }

  #failed(reason: string): void {
    if (!this.#away)
      this.#options.sink.warn('audit events cannot be delivered, they wait on disk', { reason });
    this.#away = { since: this.#away?.since ?? this.#options.world.now(), reason };
    this.#settled();
  }

  #back(): void {
    if (this.#away) this.#options.sink.info('audit events are delivered again', { since: this.#away.since });
    this.#away = undefined;
  }
}

/** @throws CodedError `bad_request` for a record that somebody else wrote. */
function eventIn({ text }: Spooled): AuditEvent {
  const parsed = auditEvent.safeParse(jsonOrUndefined(text));
  if (!parsed.success) throw new CodedError('bad_request', `not an audit event: ${issuesOf(parsed.error)}`);
  return Object.fromEntries(Object.entries(parsed.data).filter(([key]) => key !== numberKey)) as AuditEvent;
}

/** Whether both were numbered by the same spool. */
const sameLife = (one: Spooled, other: Spooled): boolean =>
  one.segment.generation === other.segment.generation &&
  (one.number === undefined) === (other.number === undefined);

/** Undefined for what a release before spooled. */
function numbersOf(batch: readonly Spooled[]): AuditNumbers | undefined {
  const numbers = batch.map((one) => one.number).filter((one) => one !== undefined);
  const generation = batch[0]?.segment.generation;
  return generation === undefined || numbers.length < batch.length ? undefined : { generation, numbers };
}

/** What is in flight when the box is closed is left alone: it will be sent again, and stored once. */
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

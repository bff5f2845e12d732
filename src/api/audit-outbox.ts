import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { backoffMs, pause } from '../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { AuditNumbers } from '../domain/audit.ts';
import { type AuditEvent, auditEvent } from '../domain/audit-event.ts';
import type { AuthClient } from './client.ts';
import { emitAudit } from './operations.ts';
import { numberKey, openSpool, type Spool, type Spooled } from './spool.ts';
import { issuesOf, jsonOrUndefined } from './wire-errors.ts';

/** Audit events on their way to the auth service: on disk before anyone goes on, delivered in order, never dropped. */
export interface AuditOutbox {
  /**
   * Durable in the spool when it resolves. While the spool is full it waits: that is the back-pressure on the session.
   * @throws CodedError `bad_request` or `limit_exceeded` for an event that could never be stored, `no_space` or
   * `unavailable` when the disk does not take it.
   */
  emit(event: AuditEvent): Promise<void>;
  /** How many events the auth service does not have yet. */
  pending(): number;
  /** How many the auth service refused for good; they lie in `refused.ndjson` beside the spool. */
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

const maxEventBytes = 60 * 1024;
const batchEvents = 200;
const batchBytes = 128 * 1024;
/** Writes of so many callers share one fsync. */
const groupEvents = 256;
/** Adopting what processes left that have ended since we began. */
const adoptEveryMs = 15_000;
const backoff = { baseMs: 250, maxMs: 10_000 };
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
  readonly #waiting: Spooled[];
  readonly #queue: Queued[] = [];
  readonly #closed = new AbortController();
  readonly #sender: Promise<void>;
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  /** Called when nothing waits any more, or cannot be delivered now. */
  #settled: () => void = () => undefined;
  #away: { since: Instant; reason: string } | undefined;
  #refused: number;
  /** After a refused batch, so many events are sent one by one, to find the one that is refused. */
  #oneByOne = 0;
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
    this.#waiting = found;
    for (const one of found) this.#bytes += one.text.length;
    this.#refused = countLines(join(options.directory, 'refused.ndjson'));
    this.#sender = this.#send();
  }

  async emit(event: AuditEvent): Promise<void> {
    if (this.#closed.signal.aborted) throw new CodedError('unavailable', 'the audit spool is closed');
    const parsed = auditEvent.safeParse(event);
    if (!parsed.success) throw new CodedError('bad_request', `not an audit event: ${issuesOf(parsed.error)}`);
    const text = JSON.stringify(parsed.data);
    if (Buffer.byteLength(text) > maxEventBytes)
      throw new CodedError('limit_exceeded', `an audit event may have ${maxEventBytes} bytes`);
    await new Promise<void>((resolve, reject) => {
      this.#queue.push({ text, resolve, reject });
      this.#write();
    });
  }

  pending(): number {
    return this.#waiting.length + this.#queue.length;
  }

  refused(): number {
    return this.#refused;
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
      this.#waiting.push(...found);
      for (const one of found) this.#bytes += one.text.length;
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
        this.#waiting.push(...written);
        for (const one of written) this.#bytes += one.text.length;
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
      const batch = this.#nextBatch();
      try {
        await orClosed(this.#deliver(batch), signal);
        if (over()) return;
        failures = 0;
        this.#back();
        await this.#done(batch);
      } catch (e) {
        failures++;
        this.#failed(messageOf(e));
        const random = (this.#options.world.randomBytes(1)[0] ?? 0) / 256;
        await pause(backoffMs(failures, backoff.baseMs, backoff.maxMs, random), signal);
      }
    }
  }

  #nextBatch(): readonly Spooled[] {
    if (this.#oneByOne > 0) return this.#waiting.slice(0, 1);
    let bytes = 0;
    const end = this.#waiting.findIndex(
      (one, i) =>
        i >= batchEvents ||
        !sameLife(one, this.#waiting[0]) ||
        (i > 0 && (bytes += one.text.length) > batchBytes),
    );
    return this.#waiting.slice(0, end < 0 ? undefined : end);
  }

  /** Resolves when auth has the batch, or has refused its only event for good and it is kept aside. */
  async #deliver(batch: readonly Spooled[]): Promise<void> {
    try {
      await this.#options.client.call(emitAudit, {
        events: batch.map(eventIn),
        numbered: numbersOf(batch),
      });
    } catch (e) {
      if (!isCoded(e, 'bad_request')) throw e;
      const [only] = batch;
      if (batch.length === 1 && only) await this.#putAside(only, e.message);
      else this.#oneByOne = batch.length;
    }
  }

  async #done(batch: readonly Spooled[]): Promise<void> {
    // A refused batch of several is not done: its events come again, one by one.
    if (this.#oneByOne > 0 && batch.length > 1) return;
    if (this.#oneByOne > 0) this.#oneByOne--;
    this.#waiting.splice(0, batch.length);
    for (const one of batch) this.#bytes -= one.text.length;
    this.#write();
    await this.#spool.taken(batch);
    if (this.pending() === 0) this.#settled();
  }

  async #putAside(record: Spooled, reason: string): Promise<void> {
    const path = join(this.#options.directory, 'refused.ndjson');
    const file = await open(path, 'a', 0o600);
    try {
      await file.writeFile(`${record.text}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#refused++;
    this.#options.sink.error('the auth server refuses an audit event for good, it is kept aside', {
      reason,
      keptIn: path,
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
const sameLife = (one: Spooled, other: Spooled | undefined): boolean =>
  one.segment.generation === other?.segment.generation &&
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

function countLines(path: string): number {
  try {
    return readFileSync(path, 'utf8').split('\n').length - 1;
  } catch (e) {
    if ((e as { code?: unknown }).code === 'ENOENT') return 0;
    throw e;
  }
}

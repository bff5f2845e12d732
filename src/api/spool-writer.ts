import { statfs } from 'node:fs/promises';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { startTicker, startTimer, type Timer } from '../base/timers.ts';
import type { AuditClaim } from './audit-claim.ts';
import type { Spool, Spooled } from './spool.ts';
import type { SpoolDisk } from './spool-disk.ts';
import { inMemory, isInMemory } from './spooled-events.ts';

/** An event that waits for the auth service. `delivered` is called when auth has it. */
export interface KeptEvent extends Spooled {
  readonly delivered?: () => void;
}

export interface SpoolWriterOptions {
  readonly directory: string;
  readonly spool: Spool;
  readonly disk: SpoolDisk;
  readonly sink: Pick<LogSink, 'error' | 'warn'>;
  /** Events that may wait for auth before others wait for them. */
  readonly maxPending: number;
  readonly maxPendingBytes?: number;
  readonly confirmMs?: number;
  readonly waiting: () => readonly KeptEvent[];
  readonly waitingBytes: () => number;
  /** Called with events in the order in which they are sent. */
  readonly keep: (written: readonly KeptEvent[]) => void;
  /** Called when there is an event that somebody waits for. */
  readonly sendAtOnce: () => void;
  /** Why auth accepts nothing now. */
  readonly away: () => string | undefined;
}

/** Up to this many writes share one fsync. */
const groupEvents = 256;
/** In addition to what may wait: for people who may enter in spite of that. */
const roomForEntering = 500;
/** For events that already happened, while no disk accepts them. */
const memoryBounds = { events: 1_000, bytes: 2 * 1024 * 1024 };
const lookAtDiskMs = 5_000;
/** A disk with less free space than this counts as full. */
const leastFreeBytes = 64 * 1024;

interface Queued {
  readonly text: string;
  readonly claim: AuditClaim;
  readonly resolve: () => void;
  readonly reject: (e: unknown) => void;
}

/**
 * Finds a place for each event where it is kept until auth has it: the disk, its reserve, memory; or refuses
 * it.
 */
export class SpoolWriter {
  readonly #options: SpoolWriterOptions;
  readonly #queue: Queued[] = [];
  #writing: Promise<void> | undefined;
  readonly #looking: Timer;
  #closed = false;
  #toldOfReserve = false;

  constructor(options: SpoolWriterOptions) {
    this.#options = options;
    this.#looking = startTicker(() => void this.#lookAtDisk(), lookAtDiskMs).unref();
    void this.#lookAtDisk();
  }

  /** Resolves when it is stored. @throws CodedError as `AuditOutbox.emit` does. */
  write(text: string, claim: AuditClaim): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const at = claim.mayEnter ? this.#queue.findIndex((one) => !one.claim.mayEnter) : -1;
      this.#queue.splice(at < 0 ? this.#queue.length : at, 0, { text, claim, resolve, reject });
      this.#write();
    });
  }

  queued(): number {
    return this.#queue.length;
  }

  /** Whether the next one that is queued need not wait for auth to accept others. */
  room(): boolean {
    const { maxPending, maxPendingBytes = 32 * 1024 * 1024, waiting, waitingBytes } = this.#options;
    return this.#queue[0]?.claim.mayEnter === true
      ? waiting().length < maxPending + roomForEntering
      : waiting().length < maxPending && waitingBytes() < maxPendingBytes;
  }

  /** Auth has accepted some. */
  roomAgain(): void {
    this.#write();
  }

  refuseQueued(): void {
    for (const { reject } of this.#queue.splice(0))
      reject(new CodedError('unavailable', 'the audit spool was closed before there was room'));
  }

  /** Events in memory are written to disk now, or go into the log of the process. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#looking.stop();
    await this.#writing;
    const { spool, sink, waiting } = this.#options;
    for (const { text } of waiting().filter(isInMemory))
      await spool.write([text]).catch((e: unknown) => {
        sink.error(`an audit event could not be kept: ${messageOf(e)}`, { event: text });
      });
  }

  /**
   * Detects a disk that is full without a failed write, and one that has space again without a successful
   * write.
   */
  async #lookAtDisk(): Promise<void> {
    const { directory, spool, disk } = this.#options;
    try {
      const { bfree, bsize } = await statfs(directory);
      if (bfree * bsize < leastFreeBytes) {
        disk.failed(`${bfree * bsize} bytes are free`);
        return;
      }
      if (this.#closed) return;
      if (disk.state().status === 'refusing') await spool.tryDisk();
      disk.works();
    } catch (e) {
      if (!this.#closed) disk.failed(messageOf(e));
      return;
    }
    await this.#prepareReserve();
  }

  /** A disk that is nearly full may have no space for it: the next look tries again. */
  async #prepareReserve(): Promise<void> {
    const { spool, sink, directory } = this.#options;
    if (this.#closed) return;
    try {
      await spool.prepareReserve();
      this.#toldOfReserve = false;
    } catch (e) {
      if (this.#toldOfReserve) return;
      this.#toldOfReserve = true;
      sink.warn('no space can be set aside for a full disk: free some', { directory, reason: messageOf(e) });
    }
  }

  #write(): void {
    this.#writing ??= this.#writeGroups().finally(() => {
      this.#writing = undefined;
      // Space may have been made after the loop looked for it.
      if (this.#queue.length > 0 && this.room()) this.#write();
    });
  }

  async #writeGroups(): Promise<void> {
    const { maxPending, waiting, spool, keep, disk } = this.#options;
    while (this.#queue.length > 0 && this.room()) {
      const group = this.#queue.splice(0, Math.min(groupEvents, Math.max(1, maxPending - waiting().length)));
      try {
        keep(await spool.write(group.map((one) => one.text)));
        // A little may fit where nothing else does.
        if (disk.state().status === 'refusing') void this.#lookAtDisk();
        for (const one of group) one.resolve();
      } catch (e) {
        disk.failed(messageOf(e));
        for (const one of group) await this.#withoutDisk(one, e);
      }
    }
  }

  /** Never rejects: the caller gets the error. */
  async #withoutDisk(one: Queued, e: unknown): Promise<void> {
    const { spool, keep, disk } = this.#options;
    const { happened, mayEnter } = one.claim;
    if (!happened && !mayEnter) {
      disk.refused();
      const code = isCoded(e) ? e.code : 'unavailable';
      const advice = 'somebody whose role has the option enterOnFullDisk can enter and free space';
      one.reject(new CodedError(code, `${messageOf(e)}; ${advice}`, { cause: e }));
      return;
    }
    try {
      keep(await spool.writeReserved([one.text], mayEnter ? 0 : spool.reserveBytes / 2));
      one.resolve();
    } catch {
      // That the reserve is used up is not the error to report: the full disk is.
      this.#toMemory(one, e);
    }
  }

  #toMemory(one: Queued, e: unknown): void {
    const { waiting, keep, sendAtOnce } = this.#options;
    const kept = waiting().filter(isInMemory);
    const bytes = kept.reduce((sum, some) => sum + some.bytes, 0);
    if (kept.length >= memoryBounds.events || bytes >= memoryBounds.bytes) {
      one.reject(e);
      return;
    }
    const record = inMemory(one.text);
    if (one.claim.happened) {
      keep([record]);
      one.resolve();
    } else keep([{ ...record, delivered: this.#confirmation(one, e) }]);
    sendAtOnce();
  }

  /**
   * Waits for the auth service, within a limit. The event stays: it may be stored already, and will be when
   * auth is back.
   */
  #confirmation({ resolve, reject }: Queued, e: unknown): () => void {
    const { confirmMs = 5_000, disk, away } = this.#options;
    const limit = startTimer(() => {
      disk.refused();
      const reason = away();
      const why = reason === undefined ? '' : `: ${reason}`;
      const text = `${messageOf(e)}; nor did an auth server take it within ${confirmMs / 1000} s${why}`;
      reject(new CodedError('unavailable', text, { cause: e }));
    }, confirmMs);
    return () => {
      limit.stop();
      resolve();
    };
  }
}

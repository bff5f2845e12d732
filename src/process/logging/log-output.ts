import { backoffMs, pause } from '../../base/backoff.ts';
import { second } from '../../base/duration.ts';
import { messageOf } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import { startTimer } from '../../base/timers.ts';
import type { LogTarget } from './log-target.ts';

/** Where the lines of a log are written, and whether that works. */
export interface LogOutput {
  /** Never throws and never waits: lines that the target does not accept now are kept, up to a limit. */
  write(line: string): void;
  /** Checks at once whether the target has been replaced, or accepts data again. */
  reopen(): void;
  /** One line on what is wrong with it now; undefined when writing works. */
  trouble(): string | undefined;
  /** Lines that never reached the target since it was opened. */
  dropped(): number;
  /**
   * Tries once more to write what is kept, and closes the target. What is left then goes to `instead`, or is
   * lost.
   */
  close(): Promise<void>;
}

export interface LogOutputOptions {
  readonly target: LogTarget;
  /** For messages: `standard error`, or a path. */
  readonly name: string;
  /** Gets the lines while the target accepts none. */
  readonly instead?: (line: string) => void;
  /** A line of the log about the log itself. */
  readonly format: (message: string, fields: Record<string, unknown>) => string;
  readonly now: () => Instant;
  /** In ms. */
  readonly clock: () => number;
}

/** The most that is kept for a target. */
const mostBytes = 1024 * 1024;
const batchBytes = 64 * 1024;
const retry = { baseMs: 250, maxMs: 5 * second };
/** A target that has not accepted what it was given for this long counts as not written. */
const slowMs = 5 * second;
/** At the end, for a target that neither accepts what it is given nor fails. */
const closingMs = 2 * second;

/**
 * A process outlives its log: lines that cannot be written are kept up to a limit and counted beyond it, and
 * neither end nor block anything.
 */
export const openLogOutput = (options: LogOutputOptions): LogOutput => new Output(options);

interface Failing {
  readonly since: Instant;
  readonly reason: string;
}

class Output implements LogOutput {
  readonly #options: LogOutputOptions;
  readonly #lines: Buffer[] = [];
  #bytes = 0;
  /** In the first line: the bytes that are already written. */
  #offset = 0;
  #dropped = 0;
  /** Those among them that are not yet reported in the log itself. */
  #untold = 0;
  #failing: Failing | undefined;
  #givenAt: number | undefined;
  #pumping: Promise<void> | undefined;
  #waiting = new AbortController();
  #closed = false;

  constructor(options: LogOutputOptions) {
    this.#options = options;
  }

  write(line: string): void {
    if (this.#failing !== undefined) this.#options.instead?.(line);
    const bytes = Buffer.from(`${line}\n`);
    if (this.#closed || this.#bytes + bytes.length > mostBytes) {
      this.#dropped++;
      this.#untold++;
      return;
    }
    this.#lines.push(bytes);
    this.#bytes += bytes.length;
    this.#pump();
  }

  reopen(): void {
    this.#options.target.lookAgain();
    this.#waiting.abort();
  }

  trouble(): string | undefined {
    const { name, clock } = this.#options;
    const missing = this.#untold === 0 ? '' : `; ${this.#untold} lines are lost to it so far`;
    if (this.#failing !== undefined) {
      const { since, reason } = this.#failing;
      return `the log (${name}) cannot be written since ${since}: ${reason}${missing}`;
    }
    if (this.#givenAt === undefined || clock() - this.#givenAt < slowMs) return undefined;
    const seconds = Math.round((clock() - this.#givenAt) / second);
    return `the log (${name}) takes nothing for ${seconds} s: its reader does not read${missing}`;
  }

  dropped(): number {
    return this.#dropped;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.abort();
    const limit = new AbortController();
    const late = pause(closingMs, limit.signal);
    await Promise.race([this.#pumping, late]);
    // A file whose server does not reply is closed only when the last write to it has ended.
    await Promise.race([this.#options.target.close(), late]);
    limit.abort();
  }

  #pump(): void {
    this.#pumping ??= this.#writeAll().finally(() => {
      this.#pumping = undefined;
      if (this.#lines.length > 0 && !this.#closed) this.#pump();
    });
  }

  async #writeAll(): Promise<void> {
    for (let failures = 0; this.#lines.length > 0;) {
      try {
        await this.#writeBatch();
        failures = 0;
        this.#works();
      } catch (e) {
        this.#fails(messageOf(e));
        if (this.#closed) return;
        failures++;
        await this.#pause(backoffMs(failures, retry.baseMs, retry.maxMs, 1));
      }
    }
  }

  async #writeBatch(): Promise<void> {
    const { target, clock } = this.#options;
    this.#givenAt = clock();
    try {
      // A line that was cut by a full disk is written whole to the next file.
      if ((await target.refresh()) === 'another') this.#offset = 0;
      const taken = await target.write(this.#batch());
      if (taken === 0) throw new Error('nothing was taken');
      this.#forget(taken);
    } finally {
      this.#givenAt = undefined;
    }
  }

  #batch(): Buffer {
    let bytes = 0;
    const end = this.#lines.findIndex((line) => (bytes += line.length) >= batchBytes);
    return Buffer.concat(end < 0 ? this.#lines : this.#lines.slice(0, end + 1)).subarray(this.#offset);
  }

  #forget(taken: number): void {
    this.#offset += taken;
    for (
      let first = this.#lines[0];
      first !== undefined && first.length <= this.#offset;
      [first] = this.#lines
    ) {
      this.#lines.shift();
      this.#offset -= first.length;
      this.#bytes -= first.length;
    }
  }

  #fails(reason: string): void {
    if (this.#failing !== undefined) return;
    const { name, instead, now, format } = this.#options;
    this.#failing = { since: now(), reason };
    if (instead === undefined) return;
    instead(format(`${name} cannot be written: what is logged comes here until it can`, { reason }));
    for (const line of this.#lines) instead(line.toString().trimEnd());
  }

  /**
   * The dropped lines were newer than those that are kept: the note about them comes where they are missing,
   * once there is space for it.
   */
  #works(): void {
    const { name, format, now } = this.#options;
    const [failing, linesMissing] = [this.#failing, this.#untold];
    if ((failing === undefined && linesMissing === 0) || this.#bytes > mostBytes / 2) return;
    this.#failing = undefined;
    this.#untold = 0;
    this.write(format(`${name} is written again`, { ...failing, until: now(), linesMissing }));
  }

  async #pause(ms: number): Promise<void> {
    this.#waiting = new AbortController();
    const timer = startTimer(() => {
      this.#waiting.abort();
    }, ms).unref();
    const { signal } = this.#waiting;
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
    timer.stop();
  }
}

import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { startTimer, type Timer } from '../base/timers.ts';
import type { World } from '../base/world.ts';
import type { Chunk } from './chunk.ts';
import { chunkBytes, ChunkCutter, chunkMs } from './chunk-cutter.ts';
import type { ChunkSink } from './chunk-sink.ts';
import type { FrameContent, SessionAbout } from './frame.ts';

/** What waits to be durable, before compression. Above it, whoever gives output should wait. */
const mostWaitingBytes = 1024 * 1024;
/** A sink that failed is tried again after this time. */
const againAfterMs = 1_000;

export interface RecorderOptions {
  readonly about: SessionAbout;
  /** 32 bytes, of this session alone. */
  readonly key: Uint8Array;
  /** The recorder closes it. */
  readonly sink: ChunkSink;
  readonly world: Pick<World, 'monotonic' | 'now'>;
  /**
   * Asked when the sink fails: whether the session goes on. Then what does not fit is left out, and counted
   * in the recording.
   */
  readonly goesOn: (e: CodedError) => boolean;
}

/** What became of a recording. */
export interface RecordingEnd {
  /** Chunks that are durable. */
  readonly chunks: number;
  /** Hash of the last of them, in hex; of none: zeros. */
  readonly head: string;
  /** Output that is in them. */
  readonly bytes: number;
  /** Output that was shown and is not in them. */
  readonly lostBytes: number;
}

/** A chunk that is not durable yet, and how much is in it: frames, and output alone. */
interface Waiting {
  readonly chunk: Chunk;
  readonly frameBytes: number;
  readonly outputBytes: number;
}

/**
 * Records one session. What happens is durable within half a second or 64 KiB, as fast as the sink is; `room`
 * says when it does not keep up. Nothing is lost silently: `failed` resolves when the session must not go on,
 * and where it goes on, what was left out is a gap in the recording.
 */
export class Recorder {
  /** Resolves with the reason when the session must end: it cannot be recorded any more. */
  readonly failed: Promise<string>;
  readonly #options: RecorderOptions;
  readonly #cutter: ChunkCutter;
  readonly #fail: (reason: string) => void;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** The sink failed, and the session goes on: `waiting` is tried again. */
  #stalled: { readonly reason: string; readonly again: Timer } | undefined;
  #isFailed = false;
  #isOver = false;
  #age: Timer | undefined;
  #awaited: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #durable = { chunks: 0, head: '0'.repeat(64), bytes: 0 };
  /** Left out since the last gap that was recorded. */
  #leftOut = 0;
  #leftOutFor = '';
  #lostBytes = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
    const { about, key, world } = options;
    const began = world.monotonic();
    this.#cutter = new ChunkCutter({
      sid: about.sid,
      key,
      elapsedMs: () => world.monotonic() - began,
      wallMs: () => Date.parse(world.now()),
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.failed = promise;
    this.#fail = resolve;
  }

  /**
   * The first chunk is durable when it resolves. @throws CodedError when it cannot be, and the session does
   * not go on without.
   */
  async begin(): Promise<void> {
    this.add({ type: 'start', about: this.#options.about });
    this.#cut();
    await this.#writing;
    if (this.#isFailed) throw new CodedError('unavailable', await this.failed);
  }

  add(content: FrameContent): void {
    if (this.#isFailed || this.#isOver) {
      if (content.type === 'output') this.#lostBytes += content.bytes.length;
      return;
    }
    if (this.#stalled !== undefined && this.#waitingBytes() >= mostWaitingBytes) {
      if (content.type === 'output') this.#leaveOut(content.bytes.length, this.#stalled.reason);
      return;
    }
    this.#tellGap();
    this.#cutter.add(content);
    if (this.#cutter.waitingBytes >= chunkBytes) this.#cut();
    else
      this.#age ??= startTimer(() => {
        this.#cut();
      }, chunkMs);
  }

  /** Undefined while more output is welcome; else resolves when it is. Never rejects. */
  room(): Promise<void> | undefined {
    if (this.#isFailed || this.#stalled !== undefined || this.#waitingBytes() < mostWaitingBytes)
      return undefined;
    return (this.#awaited ??= awaited()).promise;
  }

  /** How much output is not recorded, so far. */
  get lostBytes(): number {
    return this.#lostBytes + this.#leftOut;
  }

  /** The last chunk is durable when it resolves, or cannot be. Never rejects. */
  async end(exit: string): Promise<RecordingEnd> {
    if (!this.#isOver) {
      await this.#writing;
      this.#retry();
      await this.#writing;
      if (!this.#isFailed) {
        this.#tellGap();
        this.#cutter.add({ type: 'end', exit });
        this.#cut(true);
        await this.#writing;
      }
      this.#isOver = true;
      this.#stalled?.again.stop();
      this.#giveUp();
      await this.#options.sink.close();
    }
    return { ...this.#durable, lostBytes: this.#lostBytes };
  }

  #waitingBytes(): number {
    return this.#waiting.reduce((sum, { frameBytes }) => sum + frameBytes, 0);
  }

  #leaveOut(bytes: number, reason: string): void {
    this.#leftOut += bytes;
    this.#leftOutFor = reason;
  }

  #tellGap(): void {
    if (this.#leftOut === 0) return;
    this.#cutter.add({ type: 'gap', gap: { bytes: this.#leftOut, reason: this.#leftOutFor } });
    this.#lostBytes += this.#leftOut;
    this.#leftOut = 0;
  }

  #cut(isLast = false): void {
    this.#age?.stop();
    this.#age = undefined;
    const { outputBytes: before, waitingBytes: frameBytes } = this.#cutter;
    const chunk = this.#cutter.cut(isLast);
    if (chunk === undefined) return;
    this.#waiting.push({ chunk, frameBytes, outputBytes: this.#cutter.outputBytes - before });
    if (this.#stalled === undefined || isLast) this.#write();
  }

  #write(): void {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#isFailed) {
      const now = [...this.#waiting];
      try {
        await this.#options.sink.write(now.map(({ chunk }) => chunk));
      } catch (e) {
        this.#refused(e);
        return;
      }
      this.#stored(now);
    }
  }

  #stored(now: readonly Waiting[]): void {
    this.#waiting = this.#waiting.slice(now.length);
    const last = now.at(-1)?.chunk;
    if (last !== undefined)
      this.#durable = {
        chunks: last.head.number + 1,
        head: last.hash.toString('hex'),
        bytes: this.#durable.bytes + now.reduce((sum, one) => sum + one.outputBytes, 0),
      };
    this.#stalled?.again.stop();
    this.#stalled = undefined;
    if (this.#waitingBytes() < mostWaitingBytes) this.#makeRoom();
  }

  #refused(e: unknown): void {
    const error = isCoded(e) ? e : new CodedError('unavailable', messageOf(e), { cause: e });
    this.#stalled?.again.stop();
    this.#stalled = undefined;
    if (this.#options.goesOn(error))
      this.#stalled = {
        reason: error.message,
        again: startTimer(() => {
          this.#retry();
        }, againAfterMs),
      };
    else {
      this.#isFailed = true;
      this.#giveUp();
      this.#fail(error.message);
    }
    this.#makeRoom();
  }

  #retry(): void {
    if (this.#stalled === undefined || this.#isOver) return;
    this.#write();
  }

  /** What is not durable by now never will be. */
  #giveUp(): void {
    this.#age?.stop();
    this.#lostBytes += this.#leftOut + this.#waiting.reduce((sum, one) => sum + one.outputBytes, 0);
    this.#lostBytes += this.#cutter.waitingOutputBytes;
    this.#leftOut = 0;
    this.#waiting = [];
  }

  #makeRoom(): void {
    this.#awaited?.resolve();
    this.#awaited = undefined;
  }
}

function awaited(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

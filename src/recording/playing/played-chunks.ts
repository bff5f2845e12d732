import type { FileHandle } from 'node:fs/promises';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { type ChainEnd, type Chunk, after, breakOf, noChunks, openChunk, readChunk } from '../chunk.ts';
import { decodeFrames, type Frame } from '../frame.ts';

/** One chunk, and where in the file it is. */
interface Place {
  readonly at: number;
  readonly bytes: number;
  /** Of its first frame, since the session began. */
  readonly startMs: number;
  readonly outputBefore: number;
  readonly outputBytes: number;
}

/**
 * The chunks of one recording, to be read in any order, while more are added. The chain is checked as they
 * come, their seals as they are read. Closes its file.
 */
export class PlayedChunks implements AsyncDisposable {
  readonly sid: string;
  readonly #file: FileHandle;
  readonly #key: Uint8Array;
  readonly #places: Place[] = [];
  #end: ChainEnd = noChunks;
  #finish: { readonly failure: CodedError | undefined } | undefined;
  #isBehind = true;
  #more = waiters();
  /** Frames of the chunk that was read last: the one that is played is asked for often. */
  #last: { readonly number: number; readonly frames: readonly Frame[] } | undefined;

  /** @param key of the session. */
  constructor(file: FileHandle, { sid, key }: { readonly sid: string; readonly key: Uint8Array }) {
    this.sid = sid;
    this.#file = file;
    this.#key = key;
  }

  get count(): number {
    return this.#places.length;
  }

  /** Where the chain has come to. */
  get end(): ChainEnd {
    return this.#end;
  }

  /** No more will be added. */
  get isFinished(): boolean {
    return this.#finish !== undefined;
  }

  /** There are more already than have come: of a session that goes on, those up to now. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Why no more were added, if not because there are none. */
  get failure(): CodedError | undefined {
    return this.#finish?.failure;
  }

  /** Output before this chunk; of the number after the last one: all of it. */
  outputBefore(number: number): number {
    const place = this.#places[number];
    if (place !== undefined) return place.outputBefore;
    const last = this.#places.at(-1);
    return last === undefined ? 0 : last.outputBefore + last.outputBytes;
  }

  /** Of its first frame, since the session began. */
  startMs(number: number): number {
    return this.#places[number]?.startMs ?? 0;
  }

  /** The last chunk that begins at this time or before; 0 where none does. */
  find(ms: number): number {
    let [from, to] = [0, this.#places.length];
    while (to - from > 1) {
      const middle = (from + to) >> 1;
      if (this.startMs(middle) <= ms) from = middle;
      else to = middle;
    }
    return from;
  }

  /**
   * Chunks that follow those that are there, and lie at this place of the file.
   * @throws CodedError `damaged` when they do not continue the chain.
   */
  add(chunks: readonly Chunk[], at: number): void {
    let next = at;
    for (const chunk of chunks) {
      const broken = breakOf(this.sid, this.#end, chunk);
      if (broken !== undefined) throw new CodedError('damaged', broken);
      const { startMs, outputBefore, outputBytes } = chunk.head;
      this.#places.push({ at: next, bytes: chunk.bytes.length, startMs, outputBefore, outputBytes });
      next += chunk.bytes.length;
      this.#end = after(chunk);
    }
    this.#tell();
  }

  /** Writes them to the end of the file, and adds them. @throws CodedError `damaged`, `no_space`. */
  async append(chunks: readonly Chunk[]): Promise<void> {
    const last = this.#places.at(-1);
    const at = last === undefined ? 0 : last.at + last.bytes;
    const bytes = Buffer.concat(chunks.map((one) => one.bytes));
    try {
      for (let done = 0; done < bytes.length;)
        done += (await this.#file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
    } catch (cause) {
      throw new CodedError('no_space', `what is played cannot be kept: ${messageOf(cause)}`, { cause });
    }
    this.add(chunks, at);
  }

  /** No more will come: there are none, or they cannot be had. */
  finish(failure?: CodedError): void {
    this.#finish ??= { failure };
    this.caughtUp();
  }

  /** All that there was has come; the session goes on. */
  caughtUp(): void {
    this.#isBehind = false;
    this.#tell();
  }

  /** Resolves when there is more than this many chunks, or there will not be. */
  async more(than: number): Promise<void> {
    while (this.#places.length <= than && this.#finish === undefined) await this.#more.promise;
  }

  /** Resolves when there is more than this many chunks, or all that there was has come. */
  async past(than: number): Promise<void> {
    while (this.#places.length <= than && this.#isBehind) await this.#more.promise;
  }

  #tell(): void {
    this.#more.resolve();
    this.#more = waiters();
  }

  /** @throws CodedError `damaged` for one that is not what was recorded; `unavailable`. */
  async frames(number: number): Promise<readonly Frame[]> {
    if (this.#last?.number === number) return this.#last.frames;
    const place = this.#places[number];
    if (place === undefined) throw new RangeError(`there is no chunk ${number}`);
    const found = readChunk(await this.#bytes(place));
    if (found.status !== 'chunk') throw new CodedError('damaged', `chunk ${number} has changed`);
    const frames = [...decodeFrames(openChunk(found.chunk, this.#key))];
    this.#last = { number, frames };
    return frames;
  }

  async #bytes({ at, bytes: length }: Place): Promise<Buffer> {
    const bytes = Buffer.alloc(length);
    try {
      const { bytesRead } = await this.#file.read(bytes, 0, length, at);
      return bytes.subarray(0, bytesRead);
    } catch (cause) {
      throw isCoded(cause) ? cause : new CodedError('unavailable', messageOf(cause), { cause });
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

interface Waiters {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function waiters(): Waiters {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

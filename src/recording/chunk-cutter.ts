import { after, type ChainEnd, type Chunk, longestFrames, noChunks, sealChunk } from './chunk.ts';
import { encodeFrame, type FrameContent } from './frame.ts';

/** A chunk is cut with this much in it, or this old. */
export const chunkBytes = 64 * 1024;
export const chunkMs = 500;

/** The largest payload of one frame: larger output becomes several. */
const mostInFrame = longestFrames / 4;

export interface CutterOptions {
  readonly sid: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** Milliseconds since the session began. */
  readonly elapsedMs: () => number;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
}

/** Makes chunks of what happens in one session. Does no I/O: the caller writes what `cut` returns. */
export class ChunkCutter {
  readonly #options: CutterOptions;
  #frames: Buffer[] = [];
  #bytes = 0;
  #outputBefore = 0;
  #outputHere = 0;
  #startMs = 0;
  #lastMs = 0;
  #end = noChunks;

  constructor(options: CutterOptions) {
    this.#options = options;
  }

  /** How much waits to be cut, encoded. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Where the chain has come to. */
  get end(): ChainEnd {
    return this.#end;
  }

  /** Output that was cut into chunks. */
  get outputBytes(): number {
    return this.#outputBefore;
  }

  /** Output that waits to be cut. */
  get waitingOutputBytes(): number {
    return this.#outputHere;
  }

  add(content: FrameContent): void {
    if (content.type === 'output' || content.type === 'input')
      for (let at = 0; at < content.bytes.length; at += mostInFrame)
        this.#add({ type: content.type, bytes: content.bytes.subarray(at, at + mostInFrame) });
    else this.#add(content);
  }

  #add(content: FrameContent): void {
    // The clock that nobody sets may stand still for a moment, and never goes back.
    const now = Math.max(this.#lastMs, Math.floor(this.#options.elapsedMs()));
    const isFirst = this.#frames.length === 0;
    if (isFirst) this.#startMs = now;
    const frame = encodeFrame(content, isFirst ? now : now - this.#lastMs);
    this.#lastMs = now;
    this.#frames.push(frame);
    this.#bytes += frame.length;
    if (content.type === 'output') this.#outputHere += content.bytes.length;
  }

  /**
   * Everything that waits, as the next chunk. With nothing waiting, undefined, except for the last one, which
   * may be empty.
   */
  cut(isLast = false): Chunk | undefined {
    if (this.#frames.length === 0 && !isLast) return undefined;
    const { sid, key, wallMs } = this.#options;
    const head = {
      sid,
      number: this.#end.next,
      isLast,
      wallMs: wallMs(),
      startMs: this.#frames.length === 0 ? this.#lastMs : this.#startMs,
      outputBefore: this.#outputBefore,
      outputBytes: this.#outputHere,
      before: this.#end.hash,
    };
    const chunk = sealChunk(head, Buffer.concat(this.#frames), key);
    this.#end = after(chunk);
    this.#outputBefore += this.#outputHere;
    this.#outputHere = 0;
    this.#frames = [];
    this.#bytes = 0;
    return chunk;
  }
}

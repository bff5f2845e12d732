import { Screen } from '../../recording/screen/screen.ts';
import type { WindowSize } from '../../ssh/channel-types.ts';

export type Size = Pick<WindowSize, 'columns' | 'rows'>;

/** So much of what a terminal showed last is kept for whoever joins. */
export const recentBytes = 256 * 1024;
const blockBytes = 16 * 1024;
const newline = 0x0a;

/** Of the output before: where it begins, and the size from there on. */
interface Resize {
  readonly at: number;
  readonly size: Size;
}

/**
 * The last output of a terminal, from which can be told what it shows. It costs a copy of each byte, and no
 * more memory than was printed: nearly nobody's session is ever joined.
 */
export class RecentOutput {
  /** All but the last are full. */
  readonly #blocks: Buffer[] = [];
  /** How much of the last one is used. */
  #used = blockBytes;
  /** Bytes before the first block. */
  #dropped = 0;
  /** The first holds where the first block begins. */
  #sizes: Resize[];

  constructor(size: Size) {
    this.#sizes = [{ at: 0, size }];
  }

  get size(): Size {
    return this.#sizes.at(-1)?.size ?? { columns: 80, rows: 24 };
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const block = this.#room();
      const taken = bytes.subarray(at, at + blockBytes - this.#used);
      block.set(taken, this.#used);
      this.#used += taken.length;
      at += taken.length;
    }
  }

  resized(size: Size): void {
    const at = this.#end();
    if (this.#sizes.length > 1 && this.#sizes.at(-1)?.at === at) this.#sizes.pop();
    this.#sizes.push({ at, size });
  }

  /**
   * What the terminal shows after all of it. Where something from before is missing, as far as it can be
   * told: a program that paints a whole screen does so more often than that.
   */
  screen(): Screen {
    const [first, ...later] = this.#sizes;
    const { columns, rows } = first?.size ?? this.size;
    const screen = new Screen(columns, rows);
    let skips = this.#dropped > 0;
    const feed = (bytes: Buffer): void => {
      // The first line may begin in the middle of a character, or of a sequence.
      const from = skips ? bytes.indexOf(newline) + 1 : 0;
      if (skips && from === 0) return;
      skips = false;
      screen.feed(bytes.subarray(from));
    };
    let at = this.#dropped;
    for (const block of this.#filled()) {
      const begin = at;
      const end = begin + block.length;
      for (let next = later[0]; next !== undefined && next.at <= end; next = later[0]) {
        feed(block.subarray(at - begin, next.at - begin));
        at = next.at;
        screen.resize(next.size.columns, next.size.rows);
        later.shift();
      }
      feed(block.subarray(at - begin));
      at = end;
    }
    for (const { size } of later) screen.resize(size.columns, size.rows);
    return screen;
  }

  #room(): Buffer {
    const last = this.#blocks.at(-1);
    if (last !== undefined && this.#used < blockBytes) return last;
    const block =
      this.#blocks.length < recentBytes / blockBytes ? Buffer.allocUnsafeSlow(blockBytes) : this.#oldest();
    this.#blocks.push(block);
    this.#used = 0;
    return block;
  }

  /** To be filled again. */
  #oldest(): Buffer {
    const block = this.#blocks.shift() ?? Buffer.allocUnsafeSlow(blockBytes);
    this.#dropped += blockBytes;
    while ((this.#sizes[1]?.at ?? Infinity) <= this.#dropped) this.#sizes.shift();
    return block;
  }

  #end(): number {
    return (
      this.#dropped +
      Math.max(0, this.#blocks.length - 1) * blockBytes +
      (this.#blocks.length === 0 ? 0 : this.#used)
    );
  }

  *#filled(): Iterable<Buffer> {
    for (const [i, block] of this.#blocks.entries())
      yield i === this.#blocks.length - 1 ? block.subarray(0, this.#used) : block;
  }
}

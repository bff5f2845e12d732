import { printableLine } from '../../base/printable.ts';
import { turns } from '../../base/turns.ts';
import type { Frame } from '../frame.ts';
import { Screen } from '../screen/screen.ts';
import { type Display, Drawn, PassedOn, type Size } from './display.ts';
import { type FoundText, TextFinder } from './find-text.ts';
import type { Look, Travel, Wish } from './keys.ts';
import { applyFrame, Pictures } from './pictures.ts';
import type { PlayedChunks } from './played-chunks.ts';

/** A pause of the session is no longer than this while idle time is compressed. */
export const longestIdleMs = 1_000;
export const speeds: readonly number[] = [0.25, 0.5, 1, 1.5, 2, 4, 8, 16, 32];
const usualSpeed = speeds.indexOf(1);
/** However much happens, what is shown is no older than this. */
const longestUnsettledMs = 40;
/** What is due sooner is shown at once: a timer is not more exact. */
const soonMs = 2;

/** Where a session is played. */
export interface PlayedTerminal {
  size(): Size;
  /** Resolves when there is room for more. */
  write(data: Uint8Array | string): Promise<void>;
}

export interface PlayerOptions {
  readonly chunks: PlayedChunks;
  readonly terminal: PlayedTerminal;
  /** Milliseconds by a clock that nobody sets. */
  readonly monotonic: () => number;
  /** Waits so long, or until the signal is aborted; Infinity: only that. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Pauses of the session are as long as they were. */
  readonly keepsIdle?: boolean;
  /** What a terminal must not be told is sent, too. */
  readonly isRaw?: boolean;
  /** One of `speeds`: 1 unless given. */
  readonly speed?: number;
}

const help =
  'space pause, left right 10 s, page up down 1 min, home end, up down speed, / search, n next, q quit';

/**
 * Plays one session in a terminal, by the wishes of whoever sits there. At its end the picture stays;
 * `restoring` is what the terminal is sent then, however it ended.
 */
export class Player {
  readonly #options: PlayerOptions;
  readonly #pictures: Pictures;
  readonly #wishes: Wish[] = [];
  #wake = new AbortController();
  /** Undefined before anything is shown. */
  #display: Display | undefined;
  #screen = new Screen(80, 24);
  /** The next frame: the chunk it is in, and its place there. */
  #chunk = 0;
  #frame = 0;
  #loaded: { readonly chunk: number; readonly frames: readonly Frame[] } | undefined;
  /** Of the session: what is shown is what was then. */
  #atMs = 0;
  #isExact = true;
  #isPaused = false;
  #hasNotice = false;
  #speed: number;
  #searched = '';
  /** When the frame before was due. */
  #due = 0;
  /** When all that had happened was shown, by our clock. */
  #settledAt = -Infinity;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#pictures = new Pictures(options.chunks);
    const speed = speeds.findIndex((one) => one === options.speed);
    this.#speed = speed === -1 ? usualSpeed : speed;
  }

  wish(wish: Wish): void {
    this.#wishes.push(wish);
    this.#wake.abort();
  }

  /**
   * Resolves at the end of the session, or when somebody wishes it.
   * @throws CodedError `damaged`, and why no more of it could be had.
   */
  async play(): Promise<'ended' | 'left'> {
    const indexing = new AbortController();
    const index = Promise.withResolvers<never>();
    index.promise.catch(() => undefined); // raced below
    try {
      // What begins says of which size it is, and is shown then.
      if ((await this.#next())?.type !== 'start') await this.#redraw();
      const made = (): void => {
        if (!this.#isExact) this.#wake.abort();
      };
      const indexed = this.#pictures.index(indexing.signal, made);
      indexed.catch((e: unknown) => {
        index.reject(e);
      });
      const ended = await Promise.race([this.#run(), index.promise]);
      indexing.abort();
      await indexed;
      return ended;
    } finally {
      indexing.abort();
    }
  }

  restoring(): string {
    return this.#display?.restoring() ?? '';
  }

  async #run(): Promise<'ended' | 'left'> {
    this.#due = this.#options.monotonic();
    for (;;) {
      const wish = this.#wishes.shift();
      if (wish?.kind === 'quit') return 'left';
      if (wish !== undefined) await this.#obey(wish);
      else if (!this.#isExact && this.#pictures.isNear(this.#chunk)) await this.#goTo(this.#atMs);
      else if (this.#isPaused) await this.#sleep(Infinity);
      else if (await this.#step()) return 'ended';
    }
  }

  /** Shows the next frame when it is due. @returns true: there are no more. */
  async #step(): Promise<boolean> {
    const frame = await this.#next();
    if (frame !== undefined) {
      if (await this.#isDue(frame)) await this.#show(frame);
      return false;
    }
    const { chunks } = this.#options;
    await this.#settle();
    if (chunks.failure !== undefined) throw chunks.failure;
    if (chunks.isFinished) return true;
    const wake = this.#newWake();
    void chunks.more(chunks.count).then(() => {
      wake.abort();
    });
    if (this.#wishes.length === 0) await this.#options.sleep(Infinity, wake.signal);
    return false;
  }

  async #next(): Promise<Frame | undefined> {
    const { chunks } = this.#options;
    while (this.#chunk < chunks.count) {
      if (this.#loaded?.chunk !== this.#chunk)
        this.#loaded = { chunk: this.#chunk, frames: await chunks.frames(this.#chunk) };
      const frame = this.#loaded.frames[this.#frame];
      if (frame !== undefined) return frame;
      if (this.#chunk + 1 >= chunks.count) return undefined;
      this.#chunk++;
      this.#frame = 0;
    }
    return undefined;
  }

  /** Waits until it is due. @returns false: something is wished before. */
  async #isDue({ atMs }: Frame): Promise<boolean> {
    const since = Math.max(0, atMs - this.#atMs);
    const pause = this.#options.keepsIdle === true ? since : Math.min(since, longestIdleMs);
    const now = this.#options.monotonic();
    // What took longer than it should is not made up for by hurrying.
    const due = Math.max(this.#due + pause / (speeds[this.#speed] ?? 1), now - soonMs);
    if (due - now > soonMs) {
      await this.#settle();
      await this.#sleep(due - now);
      if (this.#options.monotonic() < due - soonMs) return false;
    }
    this.#due = due;
    return true;
  }

  async #sleep(ms: number): Promise<void> {
    const wake = this.#newWake();
    if (this.#wishes.length === 0) await this.#options.sleep(ms, wake.signal);
  }

  #newWake(): AbortController {
    this.#wake = new AbortController();
    return this.#wake;
  }

  async #show(frame: Frame): Promise<void> {
    if (this.#hasNotice) await this.#redraw();
    this.#frame++;
    this.#atMs = Math.max(this.#atMs, frame.atMs);
    applyFrame(this.#screen, frame);
    if (frame.type === 'output') await this.#output(frame.bytes);
    else if (frame.type === 'resize' || frame.type === 'start') await this.#redraw();
  }

  async #output(bytes: Uint8Array): Promise<void> {
    await this.#write(this.#display?.output(bytes) ?? '');
    if (this.#options.monotonic() - this.#settledAt >= longestUnsettledMs) await this.#settle();
  }

  async #settle(): Promise<void> {
    this.#settledAt = this.#options.monotonic();
    if (!this.#hasNotice) await this.#write(this.#display?.settle(this.#screen) ?? '');
  }

  async #write(data: Uint8Array | string): Promise<void> {
    if (data.length > 0) await this.#options.terminal.write(data);
  }

  /** Shows all of the picture, by the sizes of now. */
  async #redraw(): Promise<void> {
    const display = this.#fitting();
    if (this.#display !== undefined && this.#display !== display)
      await this.#write(this.#display.restoring());
    this.#display = display;
    this.#hasNotice = false;
    await this.#write(display.show(this.#screen));
  }

  /** The display for the sizes of now. */
  #fitting(): Display {
    const { isRaw = false, terminal } = this.#options;
    const size = terminal.size();
    const { columns, rows } = this.#screen.grid;
    const isSame = size.columns === columns && size.rows === rows;
    if (!isSame && !isRaw) return new Drawn(size);
    return this.#display instanceof PassedOn ? this.#display : new PassedOn({ isRaw });
  }

  async #goTo(ms: number): Promise<void> {
    const shown = await this.#pictures.at(ms);
    this.#screen = shown.screen;
    this.#chunk = shown.chunk;
    this.#frame = shown.frame;
    this.#isExact = shown.isExact;
    this.#atMs = ms;
    this.#due = this.#options.monotonic();
    await this.#redraw();
  }

  async #obey(wish: Wish): Promise<void> {
    switch (wish.kind) {
      case 'move':
      case 'end':
        return this.#travel(wish);
      case 'typing':
      case 'search':
      case 'help':
        return this.#look(wish);
      case 'pause':
        this.#isPaused = !this.#isPaused;
        this.#due = this.#options.monotonic();
        return this.#isPaused ? this.#notice() : this.#redraw();
      case 'speed':
        this.#speed = Math.min(Math.max(0, this.#speed + wish.by), speeds.length - 1);
        return this.#notice();
      case 'redraw':
      case 'quit':
        return this.#redraw();
    }
  }

  async #travel(wish: Travel): Promise<void> {
    const end = await this.#endMs();
    const by = wish.kind === 'move' ? wish.byMs : Infinity;
    // Who goes to the end of what has ended wants to see it.
    if (wish.kind === 'end' && this.#options.chunks.isFinished) this.#isPaused = true;
    await this.#goTo(Math.min(Math.max(0, this.#atMs + by), end));
    return this.#notice();
  }

  /** What the person types and reads pauses the session. */
  async #look(wish: Look): Promise<void> {
    this.#isPaused = true;
    if (wish.kind === 'help') return this.#notice(help);
    if (wish.kind === 'typing') return this.#notice(wish.text === undefined ? undefined : `/${wish.text}`);
    this.#searched = wish.text ?? this.#searched;
    return this.#searched === '' ? this.#notice() : this.#search();
  }

  /** The time of the last frame there is now. */
  async #endMs(): Promise<number> {
    const { chunks } = this.#options;
    if (chunks.count === 0) return 0;
    const last = (await chunks.frames(chunks.count - 1)).at(-1);
    return Math.max(last?.atMs ?? 0, chunks.startMs(chunks.count - 1));
  }

  async #search(): Promise<void> {
    await this.#notice(`looking for ${this.#searched} ...`);
    const found = await this.#find();
    if (found === 'given up') return;
    if (found === undefined) return this.#notice(`not found from here on: ${this.#searched}`);
    await this.#goTo(found.atMs);
    return this.#notice();
  }

  /** After what is shown now. A wish ends it. */
  async #find(): Promise<FoundText | 'given up' | undefined> {
    const due = turns();
    const { chunks } = this.#options;
    const finder = new TextFinder(this.#searched);
    // From the chunk before: a line may have begun there.
    for (let chunk = Math.max(0, this.#chunk - 1); await this.#isThere(chunk); chunk++)
      for (const frame of await chunks.frames(chunk)) {
        const found = finder.feed(frame).find(({ atMs }) => atMs > this.#atMs);
        if (found !== undefined) return found;
        await due();
        if (this.#wishes.length > 0) return 'given up';
      }
    return this.#wishes.length > 0 ? 'given up' : undefined;
  }

  /** Waits for a chunk that is about to come, until something is wished. */
  async #isThere(chunk: number): Promise<boolean> {
    const { chunks, sleep } = this.#options;
    if (chunk >= chunks.count && chunks.isBehind) {
      const wake = this.#newWake();
      void chunks.past(chunk).then(() => {
        wake.abort();
      });
      if (this.#wishes.length === 0) await sleep(Infinity, wake.signal);
    }
    return chunk < chunks.count;
  }

  async #notice(text?: string): Promise<void> {
    const { chunks, terminal } = this.#options;
    const end = `${clock(await this.#endMs())}${chunks.isFinished ? '' : '+'}`;
    const state = `${this.#isPaused ? 'paused' : 'playing'} ${clock(this.#atMs)} / ${end}`;
    const shown = text ?? `${state}  speed ${speeds[this.#speed] ?? 1}  (? for keys)`;
    this.#hasNotice = true;
    await this.#write(this.#display?.notice(printableLine(shown), terminal.size()) ?? '');
  }
}

/** `1:02:03` */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${Math.floor(seconds / 3_600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

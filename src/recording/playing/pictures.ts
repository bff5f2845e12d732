import { turns } from '../../base/turns.ts';
import type { Frame } from '../frame.ts';
import type { ParserState } from '../screen/control-parser.ts';
import { paint } from '../screen/paint.ts';
import { Screen } from '../screen/screen.ts';
import type { PlayedChunks } from './played-chunks.ts';

/** Output between two pictures that are kept; doubled when there would be too many. */
const keptEvery = 2 * 1024 * 1024;
const mostKept = 256;
/** UTF-16 units: a recording must not choose how much memory is used. */
const longestKept = 32 * 1024 * 1024;
/** From a picture on, so much output is computed at once: a fraction of a second. */
const reach = 8 * 1024 * 1024;
/** Where no picture is near, the screen is made of so much output before. */
const guessedFrom = 1024 * 1024;

/** What a terminal shows before a chunk. */
interface Picture {
  readonly chunk: number;
  readonly columns: number;
  readonly rows: number;
  readonly picture: string;
  readonly input: ParserState;
}

/** What a terminal shows at some time. */
export interface Shown {
  readonly screen: Screen;
  /** The chunk of that time, and how many of its frames have happened. */
  readonly chunk: number;
  readonly frame: number;
  /**
   * False: no picture was near enough, so that it was made of the output just before. It may differ until
   * `index` has come there.
   */
  readonly isExact: boolean;
}

/** A screen, and the chunk from which it goes on. */
interface Begun {
  readonly screen: Screen;
  readonly from: number;
}

/** Applies what happened to a screen. */
export function applyFrame(screen: Screen, frame: Frame): void {
  if (frame.type === 'output') screen.feed(frame.bytes);
  else if (frame.type === 'resize') screen.resize(frame.columns, frame.rows);
  else if (frame.type === 'start') screen.resize(frame.about.columns, frame.about.rows);
}

/** The size of a terminal that is said nowhere. */
const usual = { columns: 80, rows: 24 };

/** Pictures of a session, by which every time of it is reached soon. */
export class Pictures {
  readonly #chunks: PlayedChunks;
  #kept: Picture[] = [];
  #length = 0;
  #every = keptEvery;

  constructor(chunks: PlayedChunks) {
    this.#chunks = chunks;
  }

  /**
   * Makes pictures of everything that is there, and of what comes, until all has come or the signal is
   * aborted. Lets others have their turns.
   * @param made is called after each.
   * @throws CodedError `damaged`.
   */
  async index(signal: AbortSignal, made: () => void = () => undefined): Promise<void> {
    const due = turns();
    const screen = new Screen(usual.columns, usual.rows);
    let [chunk, kept] = [0, 0];
    while (!signal.aborted) {
      if (chunk >= this.#chunks.count) {
        if (this.#chunks.isFinished) return;
        await aborted(this.#chunks.more(chunk), signal);
        continue;
      }
      for (const frame of await this.#chunks.frames(chunk)) {
        applyFrame(screen, frame);
        await due();
      }
      chunk++;
      const output = this.#chunks.outputBefore(chunk);
      if (output - kept < this.#every) continue;
      kept = output;
      this.#keep(screen, chunk);
      made();
    }
  }

  #keep(screen: Screen, chunk: number): void {
    const { columns, rows } = screen.grid;
    const picture = paint(screen);
    this.#kept.push({ chunk, columns, rows, picture, input: screen.input });
    this.#length += picture.length;
    if (this.#kept.length <= mostKept && this.#length <= longestKept) return;
    this.#kept = this.#kept.filter((_, i) => i % 2 === 1);
    this.#length = this.#kept.reduce((sum, one) => sum + one.picture.length, 0);
    this.#every *= 2;
  }

  /** Whether `at` would be exact for times in this chunk. */
  isNear(chunk: number): boolean {
    const from = this.#before(chunk)?.chunk ?? 0;
    return this.#chunks.outputBefore(chunk) - this.#chunks.outputBefore(from) <= reach;
  }

  /** What is shown at this time; what happens at that very time has happened. */
  async at(ms: number): Promise<Shown> {
    const chunk = this.#chunks.find(ms);
    const isExact = this.isNear(chunk);
    const { screen, from } = isExact ? this.#from(chunk) : await this.#guess(chunk);
    for (let i = from; i < chunk; i++)
      for (const frame of await this.#chunks.frames(i)) applyFrame(screen, frame);
    const frames = this.#chunks.count === 0 ? [] : await this.#chunks.frames(chunk);
    const later = frames.findIndex(({ atMs }) => atMs > ms);
    const happened = later === -1 ? frames : frames.slice(0, later);
    for (const frame of happened) applyFrame(screen, frame);
    return { screen, chunk, frame: happened.length, isExact };
  }

  #from(chunk: number): Begun {
    const picture = this.#before(chunk);
    if (picture === undefined) return { screen: new Screen(usual.columns, usual.rows), from: 0 };
    const screen = new Screen(picture.columns, picture.rows);
    screen.feed(Buffer.from(picture.picture));
    screen.moveTo(picture.input);
    return { screen, from: picture.chunk };
  }

  async #guess(chunk: number): Promise<Begun> {
    const picture = this.#before(chunk);
    const screen = new Screen(picture?.columns ?? usual.columns, picture?.rows ?? usual.rows);
    const first = picture === undefined ? await this.#chunks.frames(0) : [];
    for (const frame of first) if (frame.type === 'start') applyFrame(screen, frame);
    const least = this.#chunks.outputBefore(chunk) - guessedFrom;
    let from = chunk;
    while (from > 0 && this.#chunks.outputBefore(from) > least) from--;
    return { screen, from };
  }

  #before(chunk: number): Picture | undefined {
    return this.#kept.findLast((one) => one.chunk <= chunk);
  }
}

/** Ends too when the signal is aborted. */
async function aborted(awaited: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const onAbort = (): void => {
    resolve(undefined);
  };
  signal.addEventListener('abort', onAbort);
  await Promise.race([awaited, promise]);
  signal.removeEventListener('abort', onAbort);
}

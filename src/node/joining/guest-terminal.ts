import { Duplex } from 'node:stream';
import { startTimer, stopTimer, type Timer } from '../../base/timers.ts';
import { type Display, Drawn, PassedOn } from '../../recording/playing/display.ts';
import type { Screen } from '../../recording/screen/screen.ts';
import type { Size } from './recent-output.ts';

/** What waits to be read. Above it output is left out, and the picture painted once there is room. */
const mostWaitingBytes = 256 * 1024;
/** A terminal of another size is drawn to so often at most. */
const drawEveryMs = 30;

export interface GuestTerminalOptions {
  /** What the session shows; it has all output before this is told of it. */
  readonly screen: Screen;
  readonly size: Size;
  /** What the guest types; `done` when there is room for more. */
  readonly type: (bytes: Buffer, done: () => void) => void;
}

/**
 * The terminal of somebody who joined a session: reading it gives what it is to be sent, writing to it types.
 * It begins with what the session shows now. A guest that does not read holds nobody up: it misses output,
 * never the picture. What may harm a terminal is left out, as when a recording is played.
 */
export class GuestTerminal extends Duplex {
  readonly #options: GuestTerminalOptions;
  #size: Size;
  #display: Display | undefined;
  #isBehind = true;
  #isOver = false;
  #drawing: Timer | undefined;

  constructor(options: GuestTerminalOptions) {
    super({ readableHighWaterMark: mostWaitingBytes });
    this.#options = options;
    this.#size = options.size;
  }

  /** The screen has it already. */
  output(bytes: Uint8Array): void {
    if (this.#isBehind || this.#isOver) return;
    this.#send(this.#display?.output(bytes) ?? '');
    if (this.#display instanceof Drawn) this.#drawing ??= startTimer(this.#draw, drawEveryMs);
  }

  /** @param size of the guest's terminal. Undefined: the session has another one. */
  refit(size = this.#size): void {
    this.#size = size;
    if (!this.#isBehind && !this.#isOver) this.#paint();
  }

  /** Nothing further is shown. */
  finish(): void {
    if (this.#isOver) return;
    this.#draw();
    this.#isOver = true;
    this.push(this.#display?.restoring() ?? '');
    this.push(null);
  }

  override _read(): void {
    if (!this.#isBehind || this.#isOver) return;
    this.#isBehind = false;
    this.#paint();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#options.type(chunk, done);
  }

  override _destroy(e: Error | null, done: (e?: Error | null) => void): void {
    stopTimer(this.#drawing);
    this.#isOver = true;
    done(e);
  }

  readonly #draw = (): void => {
    stopTimer(this.#drawing);
    this.#drawing = undefined;
    if (!this.#isBehind && !this.#isOver) this.#send(this.#display?.settle(this.#options.screen) ?? '');
  };

  #paint(): void {
    const { screen } = this.#options;
    const before = this.#display;
    const isSame = this.#size.columns === screen.grid.columns && this.#size.rows === screen.grid.rows;
    if (!isSame) this.#display = new Drawn(this.#size);
    else if (!(before instanceof PassedOn)) this.#display = new PassedOn();
    if (before !== undefined && before !== this.#display) this.#send(before.restoring());
    this.#send(this.#display?.show(screen) ?? '');
  }

  #send(data: Uint8Array | string): void {
    if (data.length > 0 && !this.push(Buffer.from(data))) this.#isBehind = true;
  }
}

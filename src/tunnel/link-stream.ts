import { Duplex } from 'node:stream';
import { CodedError } from '../base/errors.ts';

/**
 * Bytes that may be under way to a stream whose reader takes nothing: what one stream can make an end hold.
 * At 80 ms from end to end it carries 12 MiB a second.
 */
export const windowBytes = 1024 * 1024;

/**
 * What comes in one turn of the event loop is read as one piece, up to this size: TLS gives it in pieces of
 * 16 KiB, and each costs whoever passes it on a packet, a call to the kernel, and memory.
 */
const gatheredBytes = 128 * 1024;

/** More than anybody grants. */
const mostCredit = 2 ** 32;

/** What a stream asks of the link that carries it. */
export interface Carrier {
  /** The stream has something to send. */
  wantsToSend(stream: LinkStream): void;
  credit(stream: LinkStream, bytes: number): void;
  /** Sent after everything that was written. */
  end(stream: LinkStream): void;
  /** Whether bytes that were written are nobody's any more when the write is called back. */
  readonly copies: boolean;
  /** `whole`: both ends have ended it; else the other end has to be told. */
  gone(stream: LinkStream, whole: boolean): void;
}

type Sent = (error?: Error | null) => void;

interface Pending {
  chunk: Buffer;
  readonly done: Sent;
}

/** One stream of a link: half open as a TCP connection is, with a window of its own. */
export class LinkStream extends Duplex {
  readonly id: number;
  /** What the end that accepted it said of it: JSON; undefined where it said nothing. */
  readonly told: unknown;
  readonly #carrier: Carrier;
  /** Bytes that the other end takes now. */
  #sendCredit = windowBytes;
  /** Bytes that the other end may still send. */
  #received = windowBytes;
  #pending: Pending | undefined;
  /** Received in this turn, and not read yet. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #endedHere = false;
  #endedThere = false;

  constructor(id: number, carrier: Carrier, told?: unknown) {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
    this.id = id;
    this.told = told;
    this.#carrier = carrier;
  }

  /** For whoever uses memory again: `CopyingStream` of SSH. */
  get copiesWhatIsWritten(): boolean {
    return this.#carrier.copies;
  }

  /** Both ends have ended it: nothing more goes over the link. */
  get whole(): boolean {
    return this.#endedHere && this.#endedThere;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pending = { chunk, done };
    if (this.#sendCredit > 0) this.#carrier.wantsToSend(this);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#endedHere = true;
    this.#carrier.end(this);
    done();
  }

  override _read(): void {
    // Not from within: what is being read still counts as held here, and nobody asks again before something
    // comes.
    process.nextTick(() => {
      this.#grant();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#carrier.gone(this, this.whole);
    // Whoever waits for the write learns that it has failed.
    pending?.done(error ?? new CodedError('unavailable', 'the stream was closed'));
    done(error);
  }

  /**
   * The next bytes to send, at most `most` of them, with what to call when they are sent; undefined when
   * there are none, or the other end takes none.
   */
  nextPart(most: number): { readonly part: Buffer; readonly sent: Sent | undefined } | undefined {
    const pending = this.#pending;
    if (pending === undefined || this.#sendCredit === 0) return undefined;
    const part = pending.chunk.subarray(0, Math.min(most, this.#sendCredit));
    this.#sendCredit -= part.length;
    pending.chunk = pending.chunk.subarray(part.length);
    if (pending.chunk.length > 0) return { part, sent: undefined };
    this.#pending = undefined;
    return { part, sent: pending.done };
  }

  hasMore(): boolean {
    return this.#pending !== undefined && this.#sendCredit > 0;
  }

  /** The other end takes so many more bytes. */
  receiveCredit(bytes: number): void {
    this.#sendCredit = Math.min(this.#sendCredit + bytes, mostCredit);
    if (this.#pending !== undefined) this.#carrier.wantsToSend(this);
  }

  /** @throws CodedError `bad_request` for more than this end has allowed, or after the end. */
  receive(part: Buffer): void {
    if (this.#endedThere || part.length > this.#received)
      throw new CodedError('bad_request', 'a link carried more data on a stream than its window allows');
    this.#received -= part.length;
    this.#gathered.push(part);
    this.#gatheredBytes += part.length;
    if (this.#gatheredBytes >= gatheredBytes) this.#passOn();
    else if (this.#gathered.length === 1)
      setImmediate(() => {
        this.#passOn();
      });
  }

  receiveEnd(): void {
    this.#passOn();
    this.#endedThere = true;
    this.push(null);
  }

  #passOn(): void {
    const [first, ...more] = this.#gathered;
    if (first === undefined || this.destroyed) return;
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (this.push(more.length === 0 ? first : Buffer.concat([first, ...more]))) this.#grant();
  }

  /** What was read makes room; it is announced by halves of the window, not byte by byte. */
  #grant(): void {
    if (this.#endedThere || this.destroyed) return;
    const room = windowBytes - this.#received - this.readableLength - this.#gatheredBytes;
    if (room < windowBytes / 2) return;
    this.#received += room;
    this.#carrier.credit(this, room);
  }
}

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { minute, second } from '../base/time.ts';
import { startTicker, startTimer, stopTimer, type Timer } from '../base/timers.ts';
import { jsonBody, jsonIn, refusalBody, refusalOf } from './frame-bodies.ts';
import { type Frame, frame, frameHeader, FrameReader, type FrameType, mostDataBytes } from './frames.ts';
import type { LinkOptions, Wish } from './link-options.ts';
import { type Carrier, LinkStream } from './link-stream.ts';

/**
 * Balancers cut what is silent for a minute. When two signs did not come, the third time of looking ends a
 * link.
 */
const signsEveryMs = 5 * second;
const silencesAllowed = 2;
/** Of control frames mostly: data waits for the connection to take more. */
const mostUnsentBytes = 4 * 1024 * 1024;
/** Streams that may be open on a link at a time. */
const mostStreams = 4096;
/** What a frame has room for. */
const mostId = 2 ** 32 - 1;
/** Longer than whoever is asked tries: names, other proxies, and a node that is just coming back. */
const answerMs = minute;
/** Whoever was told that the link ends closes it within a round trip. */
const farewellMs = 5 * second;

interface Opening {
  readonly opened: (stream: LinkStream) => void;
  readonly refused: (error: CodedError) => void;
}

/**
 * Many streams on one connection that both ends have authenticated. Each stream has a window of its own,
 * and sends in turn with the others: one that nobody reads holds up no other. An end from which nothing is
 * heard for 15 s at most, or that breaks the rules, is gone, and all streams with it.
 */
export class Link implements Carrier {
  /** Resolves with the reason when the connection is closed. */
  readonly closed: Promise<string>;
  readonly #connection: Duplex;
  readonly #options: LinkOptions;
  readonly #streams = new Map<number, LinkStream>();
  readonly #opening = new Map<number, Opening>();
  /** Asked by the other end, neither accepted nor refused yet. */
  readonly #asked = new Map<number, AbortController>();
  /** Streams with something to send, in turn. */
  readonly #turn = new Set<LinkStream>();
  #nextId: number;
  /** The newest that the other end has opened. */
  #lastAsked = 0;
  #full = false;
  #heardAt: number;
  #signs: Timer | undefined;
  #farewell: Timer | undefined;
  #reason = 'the connection was closed';
  #leavesHere = false;
  #leavesThere = false;
  #draining: string | undefined;

  constructor(connection: Duplex, options: LinkOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#nextId = options.end === 'dialler' ? 1 : 2;
    this.#heardAt = this.#now();
    const reader = new FrameReader((one) => {
      this.#take(one);
    });
    const { promise, resolve } = Promise.withResolvers<string>();
    this.closed = promise;
    connection.on('data', (chunk: Buffer) => {
      this.#heardAt = this.#now();
      try {
        reader.push(chunk);
      } catch (e) {
        if (!isCoded(e)) throw e;
        this.close(messageOf(e));
      }
    });
    connection.on('drain', () => {
      this.#full = false;
      this.#send();
    });
    connection.on('end', () => {
      this.close('the other end closed it');
    });
    connection.on('error', (e: Error) => {
      this.close(messageOf(e));
    });
    connection.once('close', () => {
      this.#ended();
      resolve(this.#reason);
    });
    const everyMs = options.signsEveryMs ?? signsEveryMs;
    this.#signs = startTicker(() => {
      this.#sign(everyMs);
    }, everyMs);
    this.#signs.unref();
  }

  /** Streams that are open or about to be. */
  get streams(): number {
    return this.#streams.size + this.#opening.size + this.#asked.size;
  }

  /** Whether streams can be opened on it. */
  get usable(): boolean {
    return !this.#connection.destroyed && !this.#leavesHere && !this.#leavesThere;
  }

  /**
   * A stream to what the other end understands by `wish`.
   * @throws CodedError as the other end refuses it; `unavailable` when the link ends, `signal` is aborted, or
   *   nothing is answered.
   */
  async open(wish: Wish, signal: AbortSignal): Promise<LinkStream> {
    if (!this.usable) throw new CodedError('unavailable', 'the link is about to end');
    const id = this.#nextId;
    const first = frame('open', id, jsonBody(wish));
    this.#nextId += 2;
    // Whoever dialled opens another link.
    if (this.#nextId > mostId) this.drain('all numbers of streams are used up');
    const { promise, resolve, reject } = Promise.withResolvers<LinkStream>();
    const giveUp = (why: string): void => {
      if (!this.#opening.delete(id)) return; // it was opened, or refused, a moment ago
      this.#write(frame('reset', id));
      reject(new CodedError('unavailable', why));
      this.#closeIfIdle();
    };
    const leave = (): void => {
      giveUp('the client has left');
    };
    const limit = startTimer(() => {
      giveUp('the other end has not answered in time');
    }, this.#options.answerMs ?? answerMs);
    this.#opening.set(id, { opened: resolve, refused: reject });
    this.#write(first);
    signal.addEventListener('abort', leave);
    if (signal.aborted) leave();
    try {
      return await promise;
    } finally {
      stopTimer(limit);
      signal.removeEventListener('abort', leave);
    }
  }

  /** Tells the other end to open nothing more here. What is open stays. */
  leave(): void {
    if (this.#leavesHere || this.#connection.destroyed) return;
    this.#leavesHere = true;
    this.#write(frame('leave', 0));
  }

  /** Opens nothing more, and ends the link when its last stream has ended. */
  drain(reason: string): void {
    this.leave();
    this.#draining ??= reason;
    this.#closeIfIdle();
  }

  /** Tells the other end something: JSON of at most 32 KiB. */
  notify(said: unknown): void {
    this.#write(frame('notice', 0, jsonBody(said)));
  }

  /** Ends it with all its streams, as soon as the other end has read what it was told. */
  dismiss(reason: string): void {
    this.#dropAll(reason);
    for (const stream of [...this.#streams.values()]) stream.destroy();
    this.drain(reason);
  }

  /** Ends it now, with all its streams. */
  close(reason: string): void {
    if (this.#connection.destroyed) return;
    if (this.#farewell === undefined) this.#reason = reason;
    this.#connection.destroy();
  }

  get copies(): boolean {
    return this.#connection instanceof Socket;
  }

  wantsToSend(stream: LinkStream): void {
    this.#turn.add(stream);
    this.#send();
  }

  credit(stream: LinkStream, bytes: number): void {
    const body = Buffer.allocUnsafe(4);
    body.writeUInt32BE(bytes);
    this.#write(frame('credit', stream.id, body));
  }

  end(stream: LinkStream): void {
    this.#write(frame('end', stream.id));
  }

  gone(stream: LinkStream, whole: boolean): void {
    if (this.#streams.get(stream.id) !== stream) return;
    this.#streams.delete(stream.id);
    this.#turn.delete(stream);
    if (!whole) this.#write(frame('reset', stream.id));
    this.#closeIfIdle();
  }

  /**
   * What was written before is still sent. The other end closes first, as it has read it then: with
   * something of it unread here, the kernel would reset the connection, and what is under way to it would
   * be lost.
   */
  #closeIfIdle(): void {
    if (this.#draining === undefined || this.streams > 0 || this.#farewell !== undefined) return;
    if (this.#connection.destroyed) return;
    this.#reason = this.#draining;
    this.#farewell = startTimer(() => this.#connection.destroy(), farewellMs);
    this.#connection.end();
  }

  /** As much as the connection takes, a frame of each stream in turn. */
  #send(): void {
    if (this.#full || this.#turn.size === 0 || this.#connection.destroyed) return;
    this.#connection.cork();
    for (let stream = this.#nextInTurn(); stream !== undefined; stream = this.#nextInTurn()) {
      const part = stream.nextPart(mostDataBytes);
      if (part === undefined) continue;
      this.#write(frameHeader('data', stream.id, part.part.length));
      this.#write(part.part, part.sent);
      if (stream.hasMore()) this.#turn.add(stream);
    }
    this.#connection.uncork();
  }

  /** Undefined when there is none, or the connection takes no more now. */
  #nextInTurn(): LinkStream | undefined {
    const [stream] = this.#full ? [] : this.#turn;
    if (stream !== undefined) this.#turn.delete(stream);
    return stream;
  }

  /** Control frames are few and small: they do not wait for the connection to take more. */
  #write(bytes: Buffer, sent?: (error?: Error | null) => void): void {
    if (this.#connection.destroyed || this.#farewell !== undefined) return; // its streams are destroyed
    if (!this.#connection.write(bytes, sent)) this.#full = true;
    if (this.#connection.writableLength > mostUnsentBytes) this.close('the other end takes nothing');
  }

  /** @throws CodedError `bad_request` for what no other end of ours sends. */
  #take({ type, stream: id, body }: Frame): void {
    if (!this.#connection.destroyed) this.#takers[type](id, body);
  }

  readonly #takers: Readonly<Record<FrameType, (id: number, body: Buffer) => void>> = {
    open: (id, body) => {
      this.#takeOpen(id, body);
    },
    accept: (id, body) => {
      this.#takeAccept(id, body);
    },
    refuse: (id, body) => {
      this.#takeRefusal(id, body);
    },
    data: (id, body) => this.#streams.get(id)?.receive(body),
    credit: (id, body) => this.#streams.get(id)?.receiveCredit(body.readUInt32BE(0)),
    end: (id) => this.#streams.get(id)?.receiveEnd(),
    reset: (id) => {
      this.#takeReset(id);
    },
    ping: (_id, body) => {
      this.#write(frame('pong', 0, body));
    },
    pong: () => undefined, // it was heard, which is all it is for
    notice: (_id, body) => this.#options.onNotice?.(jsonIn(body)),
    leave: () => {
      this.#takeLeave();
    },
  };

  #takeOpen(id: number, body: Buffer): void {
    const ofOther = this.#options.end === 'dialler' ? 0 : 1;
    // No number comes twice: what is late for the stream that had it before would act on the next one.
    if (id % 2 !== ofOther || id <= this.#lastAsked)
      throw new CodedError('bad_request', `a link opened stream ${id}, which is not its to open`);
    this.#lastAsked = id;
    const refuse = (error: CodedError): void => {
      if (this.#asked.delete(id)) this.#write(frame('refuse', id, refusalBody(error)));
      this.#closeIfIdle();
    };
    const unwanted = new AbortController();
    this.#asked.set(id, unwanted);
    const { onAsked } = this.#options;
    if (onAsked === undefined) refuse(new CodedError('not_found', 'nothing can be opened at this end'));
    else if (this.streams > mostStreams)
      refuse(new CodedError('limit_exceeded', `this link has ${mostStreams} streams already`));
    else if (this.#leavesHere) refuse(new CodedError('unavailable', 'this end is about to go'));
    else
      onAsked({
        wish: jsonIn(body),
        signal: unwanted.signal,
        refuse,
        accept: (told) => {
          const stream = new LinkStream(id, this);
          if (this.#asked.delete(id) && !this.#connection.destroyed) {
            this.#streams.set(id, stream);
            this.#write(frame('accept', id, told === undefined ? undefined : jsonBody(told)));
          } else stream.destroy(); // it left in the meantime
          return stream;
        },
      });
  }

  #takeAccept(id: number, body: Buffer): void {
    const opening = this.#opening.get(id);
    if (opening === undefined) return; // whoever asked has left, and the other end is being told
    this.#opening.delete(id);
    const stream = new LinkStream(id, this, jsonIn(body));
    this.#streams.set(id, stream);
    opening.opened(stream);
  }

  #takeRefusal(id: number, body: Buffer): void {
    this.#opening.get(id)?.refused(refusalOf(body));
    this.#opening.delete(id);
    this.#closeIfIdle();
  }

  #takeReset(id: number): void {
    this.#asked.get(id)?.abort();
    this.#asked.delete(id);
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    if (stream !== undefined) this.#turn.delete(stream);
    stream?.destroy();
    this.#closeIfIdle();
  }

  /** Once: whoever says it again and again only fills our log. */
  #takeLeave(): void {
    if (this.#leavesThere) return;
    this.#leavesThere = true;
    this.#options.onLeave?.();
  }

  #sign(everyMs: number): void {
    const silentMs = this.#now() - this.#heardAt;
    if (silentMs > silencesAllowed * everyMs)
      this.close(`nothing was heard from the other end for ${Math.round(silentMs / second)} s`);
    else if (this.#options.end === 'dialler') this.#write(frame('ping', 0));
  }

  #ended(): void {
    this.#signs?.stop();
    this.#farewell?.stop();
    this.#dropAll(this.#reason);
    // What has all come may still be read.
    for (const stream of [...this.#streams.values()]) if (!stream.whole) stream.destroy();
    this.#streams.clear();
  }

  /** What is not open yet, in both directions. */
  #dropAll(reason: string): void {
    for (const { refused } of this.#opening.values())
      refused(new CodedError('unavailable', `the link ended: ${reason}`));
    this.#opening.clear();
    for (const unwanted of this.#asked.values()) unwanted.abort();
    this.#asked.clear();
  }

  #now(): number {
    return (this.#options.monotonic ?? (() => performance.now()))();
  }
}

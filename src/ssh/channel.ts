import { Duplex } from 'node:stream';
import { giveBack } from '../base/lent-memory.ts';
import { WireError } from '../pki/wire.ts';
import type { ServerSessionChannel, ExitStatus } from './channel-types.ts';
import { joined, sendStart, type PendingWrite, type WriteDone } from './channel-writes.ts';
import * as wire from './connection-messages.ts';
import type { ChannelData, CopyingStream } from './data-packets.ts';
import { flush } from './flush.ts';
import type { ReceiveWindow } from './receive-window.ts';
import { ReplyQueue } from './reply-queue.ts';
import { SmallPieces } from './small-pieces.ts';

/** What a channel needs of its connection. */
export interface ChannelLink {
  send(header: Buffer, body?: Buffer): void;
  /** See `Transport.sendData`. */
  sendData(channelData: ChannelData): number;
  /** False while the socket is full or keys are exchanged; `pump` is called when that ends. */
  writable(): boolean;
  /** Both sides have closed: the number may be used again. */
  release(channel: Channel): void;
}

export interface ChannelOptions {
  readonly localId: number;
  readonly remoteId: number;
  readonly remoteWindow: number;
  readonly remoteMaxPacket: number;
  /** What the peer may send before we have read it. */
  readonly window: ReceiveWindow;
  /**
   * True for byte pipes (direct-tcpip): closed once both sides sent EOF. Sessions wait for the exit status.
   */
  readonly closesAtEof: boolean;
  /** False: data on stderr is discarded (servers). */
  readonly readsStderr: boolean;
}

export type ChannelRequestHandler = (name: string, data: Buffer, answer: (ok: boolean) => void) => void;

const BUFFER_BYTES = 64 * 1024;
const MAX_UNANSWERED = 128;

/** The extended data of a channel. Shares the channel's window. */
class ErrorStream extends Duplex {
  readonly #channel: Channel;
  constructor(channel: Channel) {
    super({ highWaterMark: BUFFER_BYTES, autoDestroy: false });
    this.#channel = channel;
  }
  override _read(): void {
    this.#channel.creditSoon();
  }
  override _write(data: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.#channel.queue('stderr', data, done);
  }
  override _writev(chunks: { chunk: unknown }[], done: WriteDone): void {
    this.#channel.queue('stderr', joined(chunks), done);
  }
  override _final(done: WriteDone): void {
    this.#channel.stderrEnded();
    done();
  }
}

/**
 * One SSH channel (RFC 4254, 5). Data written after the peer closed is discarded, as the protocol requires;
 * `gone` reports that. The window is credited for bytes that were read from the stream, never for bytes that
 * only arrived.
 */
export class Channel extends Duplex implements ServerSessionChannel, CopyingStream {
  readonly copiesWhatIsWritten = true;
  readonly stderr: Duplex;
  readonly gone: Promise<void>;
  readonly localId: number;
  /** Handles the peer's requests on this channel. Unset: all are refused. */
  onRequest: ChannelRequestHandler | undefined;
  /** While true, `end()` sends EOF only once stderr was ended too: EOF is the end of both. */
  eofAwaitsStderr = false;

  readonly #link: ChannelLink;
  readonly #options: ChannelOptions;
  #setGone: () => void = () => undefined;
  readonly #answers: ReplyQueue<boolean>;
  readonly #questions: ((ok: boolean) => void)[] = [];
  readonly #writes: Record<'stdout' | 'stderr', PendingWrite | undefined> = {
    stdout: undefined,
    stderr: undefined,
  };
  readonly #pieces = new SmallPieces((data) => {
    this.push(data);
  });
  #incoming: number;
  #outgoing: number;
  #creditDue = false;
  /** The connection is. */
  #gone = false;
  readonly #peer = { eof: false, closed: false };
  readonly #own = { ended: false, stderrEnded: false, eof: false, closed: false };
  readonly #did = { tellExit: false, dropOutput: false };

  constructor(link: ChannelLink, options: ChannelOptions) {
    super({ highWaterMark: BUFFER_BYTES, autoDestroy: false });
    this.gone = new Promise((resolve) => {
      this.#setGone = resolve;
    });
    this.#link = link;
    this.#options = options;
    this.localId = options.localId;
    this.#incoming = options.window.bytes;
    this.#outgoing = options.remoteWindow;
    this.#answers = new ReplyQueue((ok) => {
      if (!this.#own.closed) link.send(ok ? wire.success(options.remoteId) : wire.failure(options.remoteId));
    });
    this.stderr = new ErrorStream(this);
    if (!options.readsStderr) this.stderr.resume();
    this.once('end', () => {
      if (this.#peer.closed) this.destroy();
    });
  }

  // --- what the stream machinery calls ---

  override _read(): void {
    this.creditSoon();
  }
  override _write(data: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.queue('stdout', data, (error) => {
      giveBack(data);
      done(error);
    });
  }
  override _writev(chunks: { chunk: unknown }[], done: WriteDone): void {
    this.queue('stdout', joined(chunks), done);
  }
  override _final(done: WriteDone): void {
    this.#own.ended = true;
    this.#sendEof();
    done();
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#sendClose();
    this.#options.window.keep(0);
    // Complete data on stderr may still be read.
    if (this.#peer.eof && !this.stderr.readableEnded) this.stderr.once('end', () => this.stderr.destroy());
    else this.stderr.destroy();
    done(error);
  }

  // --- what the owner calls ---

  /** Sends the peer a request on this channel. False: refused, or the channel closed before the reply. */
  request(name: string, data: Buffer): Promise<boolean> {
    if (this.#own.closed || this.#peer.closed) return Promise.resolve(false);
    this.#link.send(wire.channelRequest(this.#options.remoteId, name, true, data));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#questions.push(resolve);
    return promise;
  }

  /** Sends the peer a message that has no reply. */
  tell(name: string, data: Buffer): void {
    if (!this.#own.closed) this.#link.send(wire.channelRequest(this.#options.remoteId, name, false, data));
  }

  tellExit(exit: ExitStatus): void {
    const request = this.#did.tellExit ? undefined : wire.exitRequest(exit);
    if (request === undefined) return;
    this.#did.tellExit = true;
    this.tell(request.name, request.data);
  }

  dropOutput(): void {
    this.#did.dropOutput = true;
    this.#dropWrites(['stdout']);
    this.#sendEof();
  }

  async finish(exit: ExitStatus): Promise<void> {
    const flushed = Promise.all([flush(this.stderr), flush(this)]);
    await Promise.race([flushed, this.gone]);
    this.tellExit(exit);
    this.#sendEof();
    this.#sendClose();
    this.resume(); // nobody reads further data of the peer
  }

  // --- what the connection calls ---

  receiveData(data: Buffer, target: 'stdout' | 'stderr' | 'nowhere'): void {
    if (this.#peer.eof || this.#peer.closed) throw new WireError('data after the end of data');
    if (this.#own.closed || data.length === 0) return; // it was on its way
    if (data.length > this.#incoming) {
      this.#overflow();
      return;
    }
    this.#incoming -= data.length;
    if (target === 'stdout') this.#pieces.take(data);
    else if (target === 'stderr') this.stderr.push(data);
    this.credit();
  }

  receiveWindow(bytes: number): void {
    if (this.#outgoing + bytes > 0xffff_ffff) throw new WireError('window too large');
    this.#outgoing += bytes;
    this.pump();
  }

  receiveRequest(name: string, wantReply: boolean, data: Buffer): void {
    if (this.#answers.length >= MAX_UNANSWERED) throw new WireError('too many unanswered requests');
    const answer = wantReply ? this.#answers.reserve() : (): void => undefined;
    if (this.onRequest === undefined || this.#own.closed) answer(false);
    else this.onRequest(name, data, answer);
  }

  receiveReply(ok: boolean): void {
    const question = this.#questions.shift();
    if (question === undefined) throw new WireError('reply without a request');
    question(ok);
  }

  receiveEof(): void {
    if (this.#peer.eof) return;
    this.#peer.eof = true;
    this.#pieces.flush();
    this.push(null);
    this.stderr.push(null);
    this.credit();
    this.#closePipe();
  }

  receiveClose(): void {
    if (this.#peer.closed) throw new WireError('channel closed twice');
    this.receiveEof();
    this.#peer.closed = true;
    if (this.#own.closed) this.#link.release(this);
    else this.#sendClose();
    this.#abandon();
    if (this.readableEnded) this.destroy();
  }

  /**
   * The connection is gone. Data that was received completely can still be read; a cut stream ends without
   * `end`.
   */
  lost(): void {
    const whole = this.#peer.eof;
    this.#peer.closed = true;
    this.#own.closed = true;
    this.#gone = true;
    this.#options.window.close();
    this.credit();
    this.#abandon();
    if (!whole || this.readableEnded) this.destroy();
  }

  /** Sends what window and socket allow. */
  pump(): void {
    this.#pumpOne('stdout');
    this.#pumpOne('stderr');
    this.#sendEof();
  }

  // --- inner parts, some shared with ErrorStream ---

  /**
   * Gives the peer new window for the bytes that were read, in large steps; returns what is held for it when
   * it can send nothing more.
   */
  credit(): void {
    const { window } = this.#options;
    const unread = this.#pieces.bytes + this.readableLength + this.stderr.readableLength;
    if (this.#own.closed || this.#peer.eof) {
      // A peer that leaves before anybody began to read is forgotten together with its data.
      const forgotten = this.destroyed || (this.#gone && this.readableFlowing === null);
      window.keep(forgotten ? 0 : unread);
      return;
    }
    const held = this.#incoming + unread;
    if (held > window.bytes / 2) return;
    const bytes = window.renew(held) - held;
    if (bytes <= 0) return;
    this.#incoming += bytes;
    this.#link.send(wire.windowAdjust(this.#options.remoteId, bytes));
  }

  /** For `_read`: Node calls it before it takes the bytes out of the buffer. */
  creditSoon(): void {
    if (this.#creditDue) return;
    this.#creditDue = true;
    process.nextTick(() => {
      this.#creditDue = false;
      this.credit();
    });
  }

  queue(target: 'stdout' | 'stderr', data: Buffer, done: WriteDone): void {
    if (this.#own.closed || (this.#did.dropOutput && target === 'stdout')) done();
    else if (this.#own.eof) done(new Error('write after the end of the channel'));
    else {
      this.#writes[target] = { data, done };
      this.pump();
    }
  }

  stderrEnded(): void {
    this.#own.stderrEnded = true;
    this.#sendEof();
  }

  #pumpOne(target: 'stdout' | 'stderr'): void {
    for (let write = this.#writes[target]; write !== undefined; write = this.#writes[target]) {
      while (write.data.length > 0) {
        if (this.#outgoing === 0 || !this.#link.writable()) return;
        const sent = sendStart(this.#link, target, this.#options, write.data.subarray(0, this.#outgoing));
        write.data = write.data.subarray(sent);
        this.#outgoing -= sent;
      }
      this.#writes[target] = undefined;
      write.done();
    }
  }

  #sendEof(): void {
    const idle = this.#writes.stdout === undefined && this.#writes.stderr === undefined;
    const wanted = this.#own.ended && (!this.eofAwaitsStderr || this.#own.stderrEnded);
    if (!idle || !wanted || this.#own.eof || this.#own.closed) return;
    this.#own.eof = true;
    this.#link.send(wire.eof(this.#options.remoteId));
    this.#closePipe();
  }

  /**
   * More than was granted arrived. If nobody has begun to read, the channel is useless and ends by itself; in
   * one that is being read, a part is missing now. @throws WireError
   */
  #overflow(): void {
    if (this.readableFlowing !== null) throw new WireError('data beyond the window');
    this.read(); // earlier data is held no longer than the channel
    this.destroy();
  }

  #closePipe(): void {
    if (this.#options.closesAtEof && this.#own.eof && this.#peer.eof) this.#sendClose();
  }

  #sendClose(): void {
    if (this.#own.closed) return;
    this.#own.closed = true;
    this.#link.send(wire.close(this.#options.remoteId));
    this.#options.window.close();
    this.credit();
    if (this.#peer.closed) this.#link.release(this);
    this.#dropWrites();
  }

  #abandon(): void {
    this.#dropWrites();
    this.#setGone();
    for (const question of this.#questions.splice(0)) question(false);
  }

  #dropWrites(targets: readonly ('stdout' | 'stderr')[] = ['stdout', 'stderr']): void {
    for (const target of targets) {
      const write = this.#writes[target];
      this.#writes[target] = undefined;
      write?.done();
    }
  }
}

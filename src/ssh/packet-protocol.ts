/**
 * The layer between the socket and ssh2: bytes arrive here first, and after the first error none goes
 * further.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { startTimer, stopTimer } from '../base/timers.ts';
import { str, u32 } from '../pki/wire.ts';
import { Identification } from './identification.ts';
import { maxPacketBytes, PacketError } from './packet-frame.ts';
import type { PacketReceiver, PacketSender } from './packet-layer.ts';

/**
 * Of a peer that has not logged in; 64 offers of certificates with their keys and a key exchange are a fifth
 * of it.
 */
const MAX_BYTES_BEFORE_LOGIN = 1024 * 1024;
/** Source: RFC 4344, 3.1. */
const MAX_PACKETS_PER_KEY = 2 ** 31;
/** SSH_DISCONNECT_PROTOCOL_ERROR. Source: RFC 4253, 11.1. */
const PROTOCOL_ERROR = 2;
/** How long a stream that is not a socket may take to send our last message. */
const LAST_WORDS_MS = 2_000;

/** ssh2's class of that name, as far as it is used here. */
export interface Ssh2Protocol {
  readonly _server: boolean;
  readonly _cipher: PacketSender;
  readonly _decipher: PacketReceiver | undefined;
  readonly _packetRW: {
    readonly write: {
      readonly allocStartKEX: number;
      alloc(size: number, force: boolean): Buffer;
      finalize(packet: Buffer, force: boolean): Buffer;
    };
  };
  /** Reads the identification line and then packets; returns where it stopped, undefined at the end. */
  readonly _parse: (chunk: Buffer, at: number, end: number) => number | undefined;
  readonly _onError: (error: Error) => void;
  /** Frees the ciphers. Undefined once that is done. */
  _destruct: ((reason?: string) => void) | undefined;
}
type Ssh2ProtocolClass = new (config: object) => Ssh2Protocol;

let next: Duplex | undefined;

/** Tells the connection that `make` creates to which socket it belongs. */
export function overSocket<T>(socket: Duplex, make: () => T): T {
  next = socket;
  try {
    return make();
  } finally {
    next = undefined;
  }
}

/**
 * Ends a connection whose peer broke the protocol: nothing more is read from it. Our last message has been
 * written; what a socket did not accept at once it never will.
 */
export function endAtOnce(socket: Duplex): void {
  if (socket.writableLength === 0 || socket instanceof Socket) {
    socket.destroy();
    return;
  }
  socket.pause();
  const timer = startTimer(() => socket.destroy(), LAST_WORDS_MS);
  socket.once('close', () => {
    stopTimer(timer);
  });
  socket.end(() => socket.destroy());
}

/** DISCONNECT with a text. Goes out at once, also during a key exchange. Source: RFC 4253, 11.1. */
export function writeDisconnect(
  p: Pick<Ssh2Protocol, '_packetRW' | '_cipher'>,
  reason: number,
  text: string,
): void {
  const payload = Buffer.concat([Buffer.of(1), u32(reason), str(text), str('')]);
  const { write } = p._packetRW;
  const at = write.allocStartKEX;
  const packet = write.alloc(payload.length, true);
  packet.set(payload, at);
  p._cipher.encrypt(write.finalize(packet, true));
}

/** What each of our transports has in addition to ssh2's. */
export interface PacketProtocol extends Ssh2Protocol {
  /** Handles bytes from the socket. Never throws, and ignores everything after an error. */
  readonly parse: (chunk: Buffer, at: number, end: number) => void;
  /** Undefined: it was not set (see `overSocket`). */
  readonly socket: Duplex | undefined;
  /** From here on packets may be large, and as many as they like. */
  loggedIn(): void;
  /** Nothing further that arrives is handled; sending continues. */
  stop(): void;
  /**
   * True when the keys have been used long enough: `bytes` on the wire in both directions together, or 2^31
   * packets in one.
   */
  isSpent(bytes: number): boolean;
  /** Called after bytes arrived and were handled. */
  onProgress: (() => void) | undefined;
}

/** ssh2's transport behind ours. */
export function inFrontOf(base: Ssh2ProtocolClass): new (config: object) => PacketProtocol {
  return class extends base implements PacketProtocol {
    readonly socket = next;
    onProgress: (() => void) | undefined;
    #identification: Identification | undefined = new Identification(!this._server);
    #isOver = false;
    #isLoggedIn = false;
    #bytes = 0;

    loggedIn(): void {
      this.#isLoggedIn = true;
    }

    stop(): void {
      this.#isOver = true;
    }

    isSpent(bytes: number): boolean {
      const { _cipher: sender, _decipher: receiver } = this;
      if (receiver === undefined) return false;
      return (
        sender.bytes + receiver.bytes >= bytes ||
        Math.max(sender.packets, receiver.packets) >= MAX_PACKETS_PER_KEY
      );
    }

    get parse(): (chunk: Buffer, at: number, end: number) => void {
      return this.#parse;
    }
    /** ssh2 replaces it by a function that throws when it gives up. Ours has stopped by then. */
    set parse(_throws) {
      this.#isOver = true;
    }

    readonly #parse = (chunk: Buffer, at: number, end: number): void => {
      if (this.#isOver) return;
      try {
        this.#take(chunk, at, end);
      } catch (e) {
        this.#fail(e instanceof Error ? e : new Error(String(e)));
      }
      if (this._destruct === undefined) this.#end();
      else this.onProgress?.();
    };

    #take(chunk: Buffer, at: number, end: number): void {
      this.#bytes += end - at;
      if (!this.#isLoggedIn && this.#bytes > MAX_BYTES_BEFORE_LOGIN)
        throw new PacketError(`more than ${MAX_BYTES_BEFORE_LOGIN} bytes came before the login`);
      let from: number | undefined = at;
      while (this.#identification !== undefined && from < end) {
        const took = this.#identification.take(chunk, from, end);
        from = took.at;
        if (took.line === undefined) continue;
        this.#identification = undefined;
        this._parse(took.line, 0, took.line.length);
      }
      while (from !== undefined && from < end && this._destruct !== undefined) {
        if (this._decipher !== undefined)
          this._decipher.maxBytes = maxPacketBytes[this.#isLoggedIn ? 'afterLogin' : 'beforeLogin'];
        from = this._parse(chunk, from, end);
      }
      if (from === Infinity) this.#isOver = true; // the code that stopped it closes the connection
    }

    #fail(error: Error): void {
      this.#isOver = true;
      if (this._destruct !== undefined) {
        this.#sayGoodbye(error instanceof PacketError ? error.message : 'protocol error');
        this._destruct();
      }
      this._onError(error); // ssh2 tells whoever listens, and ends the socket
    }

    #sayGoodbye(text: string): void {
      if (this._decipher === undefined) return; // no packet can be read before the identifications
      try {
        writeDisconnect(this, PROTOCOL_ERROR, text);
      } catch {
        // If something is wrong, writing may fail too: the first error is the one that is reported.
      }
    }

    /** ssh2 has given up, by itself or because of `#fail`. */
    #end(): void {
      this.#isOver = true;
      if (this.socket !== undefined) endAtOnce(this.socket);
    }
  };
}

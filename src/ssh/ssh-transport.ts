import type { Duplex } from 'node:stream';
import { hour } from '../base/duration.ts';
import { startTicker, startTimer, stopTimer, type Timer } from '../base/timers.ts';
import { WireError } from '../pki/wire.ts';
import type { ConnectionLayer, Transport } from './connection-layer.ts';
import { sendSideBySide, type ChannelData } from './data-packets.ts';
import { endAtOnce } from './packet-protocol.ts';
import {
  isExchangingKeys,
  sendDisconnect,
  sendPayload,
  takeConnectionMessages,
  type Protocol,
} from './ssh2-internals.ts';

/** Channel data waits while the socket holds more than this. */
const FULL_BYTES = 1024 * 1024;
/**
 * A peer that makes us hold this much (by sending requests without reading the replies) is disconnected.
 * Channel data is half of it at most; each reply costs the process some 250 bytes though it counts as 36
 * here.
 */
const CHOKED_BYTES = 2 * FULL_BYTES;
/** The cost of a message that waits for the end of a key exchange, in addition to its bytes. */
const WAITING_BYTES = 128;
/** A peer for which this many bytes wait, because it does not end a key exchange, is disconnected. */
const WAITING_MAX = FULL_BYTES;
/**
 * New keys after this much on the wire in both directions together (RFC 4253, 9), or after 2^31 packets
 * (`isSpent`). That is far from 2^32 blocks of any cipher here. Source: RFC 4344, 3.
 */
const REKEY_BYTES = 2 ** 30;
const REKEY_MS = hour;
/** How long a peer may take to read our last message. */
const LINGER_MS = 2_000;

/** SSH_DISCONNECT reasons. Source: RFC 4253, 11.1. */
export const disconnectReason = { protocolError: 2, byApplication: 11, noMoreAuthMethods: 14 } as const;

export interface SshTransportOptions {
  readonly protocol: Protocol;
  readonly socket: Duplex;
  /** Zero: never send. */
  readonly keepaliveMs: number;
  /** Rounds of silence before the connection is given up. */
  readonly keepaliveCountMax: number;
  /** For tests; default 1 GiB. */
  readonly rekeyBytes?: number | undefined;
  /** An error while a message was handled: a WireError (the peer's fault) or a bug (ours). */
  onFault(error: unknown): void;
}

/**
 * Carries the connection protocol over the encrypted transport of ssh2, for either role. Renews keys by
 * volume and time, checks that the peer is alive, and closes so that no socket stays.
 */
export class SshTransport implements Transport {
  readonly #options: SshTransportOptions;
  readonly #rekeyBytes: number;
  #layer: ConnectionLayer | undefined;
  #heard = true;
  #silentRounds = 0;
  readonly #timers: Timer[] = [];
  #closing = false;
  #goodbye = false;
  #gaveUp = false;
  /**
   * Bytes that wait for the current key exchange to end. They do not include channel data: see `writable`.
   */
  #waiting = 0;

  constructor(options: SshTransportOptions) {
    this.#options = options;
    this.#rekeyBytes = options.rekeyBytes ?? REKEY_BYTES;
    takeConnectionMessages(options.protocol, (payload) => this.#receive(payload));
    options.protocol.onProgress = () => {
      this.#renewSpentKeys();
    };
    options.socket.on('drain', () => {
      this.#layer?.pump();
    });
    options.socket.once('end', () => options.socket.end()); // streams that are not sockets may stay half open
    options.socket.once('close', () => {
      this.#stop();
    });
  }

  /** True when we ended it, not the peer and not the network. */
  get endedHere(): boolean {
    return this.#goodbye;
  }

  /** True when we ended it since the peer did not answer. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /** From here on messages of the connection protocol are accepted: the client is authenticated. */
  start(layer: ConnectionLayer): void {
    this.#layer = layer;
    this.#options.protocol.loggedIn();
    const { keepaliveMs } = this.#options;
    this.#every(REKEY_MS, () => {
      this.#rekey();
    });
    if (keepaliveMs > 0)
      this.#every(keepaliveMs, () => {
        this.#checkAlive(layer);
      });
    if (this.#options.socket.destroyed) this.#stop();
  }

  /** To be called after each key exchange. */
  keysRenewed(): void {
    this.#waiting = 0;
    this.#layer?.pump();
  }

  send(header: Buffer, body?: Buffer): void {
    if (this.#closing) return;
    sendPayload(this.#options.protocol, header, body);
    this.#afterSending();
    if (!isExchangingKeys(this.#options.protocol)) return;
    this.#waiting += header.length + (body?.length ?? 0) + WAITING_BYTES;
    if (this.#waiting > WAITING_MAX) this.close('you do not exchange keys', disconnectReason.protocolError);
  }

  sendData(channelData: ChannelData): number {
    const { protocol, socket } = this.#options;
    if (this.#closing || protocol._destruct === undefined) return channelData.data.length;
    const sent = sendSideBySide(protocol._cipher, socket, channelData);
    if (sent > 0) this.#afterSending();
    return sent;
  }

  #afterSending(): void {
    this.#renewSpentKeys();
    if (this.#options.socket.writableLength > CHOKED_BYTES)
      this.close('you do not read', disconnectReason.protocolError);
  }

  writable(): boolean {
    const { protocol, socket } = this.#options;
    return !isExchangingKeys(protocol) && socket.writableLength < FULL_BYTES;
  }

  /**
   * Sends DISCONNECT and closes the socket: at once when the peer broke the protocol, otherwise within two
   * seconds whatever it does. Nothing further it sends is handled.
   */
  close(text: string, reason: number = disconnectReason.byApplication): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#goodbye = true;
    const { protocol, socket } = this.#options;
    protocol.stop(); // also no further login, no further exchange of keys
    if (socket.destroyed) return;
    sendDisconnect(protocol, reason, text);
    if (reason === disconnectReason.protocolError) {
      endAtOnce(socket);
      return;
    }
    socket.end();
    const timer = startTimer(() => socket.destroy(), LINGER_MS);
    socket.once('end', () => socket.destroy()); // not at once: a reset could overtake our last message
    socket.once('close', () => {
      stopTimer(timer);
    });
  }

  #every(ms: number, act: () => void): void {
    const timer = startTicker(act, ms);
    timer.unref();
    this.#timers.push(timer);
  }

  #stop(): void {
    this.#closing = true;
    for (const timer of this.#timers.splice(0)) stopTimer(timer);
    this.#layer?.lost();
  }

  #receive(payload: Buffer): boolean {
    if (this.#closing) return false;
    this.#heard = true;
    try {
      if (this.#layer === undefined) throw new WireError('asked for channels before logging in');
      this.#layer.receive(payload);
    } catch (e) {
      this.#options.onFault(e);
      this.close('protocol error', disconnectReason.protocolError);
      return false;
    }
    return true;
  }

  #renewSpentKeys(): void {
    if (this.#layer !== undefined && this.#options.protocol.isSpent(this.#rekeyBytes)) this.#rekey();
  }

  #rekey(): void {
    if (!this.#closing && !isExchangingKeys(this.#options.protocol)) this.#options.protocol.rekey();
  }

  #checkAlive(layer: ConnectionLayer): void {
    if (this.#closing) return;
    this.#silentRounds = this.#heard ? 0 : this.#silentRounds + 1;
    this.#heard = false;
    if (this.#silentRounds > this.#options.keepaliveCountMax) {
      this.#gaveUp = true;
      this.close('no answer to keepalives');
      return;
    }
    layer.globalRequest('keepalive@openssh.com', Buffer.alloc(0)).catch((): undefined => undefined); // lost: `#stop` reports it
  }
}

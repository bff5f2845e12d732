/**
 * The packet layer: frames, ciphers, sequence numbers, volume. It has the interface that ssh2's key exchange
 * expects of its own, which it replaces (see ssh2-library.ts).
 */
import { randomFillSync } from 'node:crypto';
import { servedCiphers, servedMacs, type CipherInfo, type MacInfo } from './packet-algorithms.ts';
import { PacketError, PacketFrame } from './packet-frame.ts';
import {
  openingKey,
  plainOpening,
  plainSealing,
  sealingKey,
  type KeyMaterial,
  type SealingKey,
} from './packet-keys.ts';
import type { PacketPrimitives } from './packet-primitives.ts';

const LENGTH = 4;
const MIN_PADDING = 4;
/** Before the first key exchange. Source: RFC 4253, 6. */
const PLAIN_BLOCK = 8;
const SEQNO_END = 2 ** 32;

/**
 * Padding need not be secret, only unpredictable: it is drawn in blocks, because drawing it for each packet
 * is expensive.
 */
const random = Buffer.alloc(16 * 1024);
let randomAt = random.length;

function pad(packet: Buffer, from: number, bytes: number): void {
  if (randomAt + bytes > random.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  packet.set(random.subarray(randomAt, randomAt + bytes), from);
  randomAt += bytes;
}

/** Seals and sends. ssh2 calls it a cipher. */
export class PacketSender {
  readonly #key: SealingKey;
  readonly #block: number;
  readonly #lengthInBlocks: number;
  readonly #write: (packet: Buffer) => void;
  #isFreed = false;
  #seqno: number;
  #isReset = false;
  bytes = 0;
  packets = 0;

  constructor(
    key: SealingKey,
    frame: { readonly block: number; readonly coversLength: boolean },
    seqno: number,
    write: (packet: Buffer) => void,
  ) {
    this.#key = key;
    this.#block = frame.block;
    this.#lengthInBlocks = frame.coversLength ? LENGTH : 0;
    this.#seqno = seqno;
    this.#write = write;
  }

  /** Of the next packet. */
  get outSeqno(): number {
    return this.#seqno;
  }
  /**
   * The key exchange sets it to 0 behind NEWKEYS (strict mode, OpenSSH's PROTOCOL 1.10), for the keys that
   * follow. Nothing more is sent under the current keys: nobody could read it, and with chacha20 a number
   * would be used a second time.
   */
  set outSeqno(seqno: number) {
    this.#seqno = seqno;
    this.#isReset = true;
  }

  /** A packet with its length and padding; the message goes to offset 5. */
  allocPacket(payloadBytes: number): Buffer {
    const padding = this.#paddingOf(payloadBytes);
    const packet = Buffer.allocUnsafe(this.#bytesOf(payloadBytes, padding));
    this.#frame(packet, payloadBytes, padding);
    return packet;
  }

  /** Sends a packet from `allocPacket`. Ignored once freed, or once the number was reset. */
  encrypt(packet: Buffer): void {
    if (this.#seal(packet)) this.#write(packet);
  }

  /** How many bytes of a message, besides those of its packet, fit into `room` bytes; negative: not one. */
  payloadWithin(room: number): number {
    return room - LENGTH - 1 - this.#key.tagBytes - this.#block - MIN_PADDING;
  }

  /**
   * Seals the message made of `head` and `body` into `memory`, from `at` on, where there is room for it (see
   * `payloadWithin`). Returns where the packet ends: the caller sends it, before anything else is sent.
   * Undefined once freed, or once the number was reset.
   */
  sealInto(memory: Buffer, at: number, head: Buffer, body: Buffer): number | undefined {
    const payloadBytes = head.length + body.length;
    const padding = this.#paddingOf(payloadBytes);
    const end = at + this.#bytesOf(payloadBytes, padding);
    const packet = memory.subarray(at, end);
    this.#frame(packet, payloadBytes, padding);
    packet.set(head, LENGTH + 1);
    packet.set(body, LENGTH + 1 + head.length);
    return this.#seal(packet) ? end : undefined;
  }

  #paddingOf(payloadBytes: number): number {
    const padding = this.#block - ((this.#lengthInBlocks + 1 + payloadBytes) % this.#block);
    return padding < MIN_PADDING ? padding + this.#block : padding;
  }

  #bytesOf(payloadBytes: number, padding: number): number {
    return LENGTH + 1 + payloadBytes + padding + this.#key.tagBytes;
  }

  #frame(packet: Buffer, payloadBytes: number, padding: number): void {
    packet.writeUInt32BE(1 + payloadBytes + padding, 0);
    packet[LENGTH] = padding;
    pad(packet, LENGTH + 1 + payloadBytes, padding);
  }

  /** False: nothing may be sent any more. */
  #seal(packet: Buffer): boolean {
    if (this.#isFreed || this.#isReset) return false;
    this.packets += 1;
    this.bytes += packet.length;
    // A number used twice under one key would reveal what chacha20 hides. New keys are requested long before.
    if (this.packets > SEQNO_END)
      throw new PacketError('these keys have served for as many packets as they may');
    this.#key.seal(packet, this.#seqno);
    this.#seqno = (this.#seqno + 1) % SEQNO_END;
    return true;
  }

  free(): void {
    this.#isFreed = true;
    this.#key.free();
  }
}

/**
 * The result of ssh2's handler for a message: undefined to continue, false when the next packet is for other
 * keys, Infinity to stop.
 */
type OnPayload = (payload: Buffer) => number | false | undefined;

/** Receives and opens. ssh2 calls it a decipher. */
export class PacketReceiver {
  readonly #frame: PacketFrame;
  #isFreed = false;
  /** Of the next packet. */
  inSeqno: number;
  bytes = 0;
  packets = 0;
  /** The key exchange replaces it. */
  _onPayload: OnPayload;

  constructor(frame: PacketFrame, seqno: number, onPayload: OnPayload) {
    this.#frame = frame;
    this.inSeqno = seqno;
    this._onPayload = onPayload;
  }

  set maxBytes(bytes: number) {
    this.#frame.maxBytes = bytes;
  }

  /**
   * Reads the bytes of `data` from `at` on. Returns where another receiver must continue, Infinity when none
   * must, undefined when everything was read. @throws PacketError
   */
  decrypt(data: Buffer, at: number, end: number): number | undefined {
    let next = at;
    while (next < end) {
      if (this.#isFreed) return Infinity;
      const took = this.#frame.take(data, next, end, this.inSeqno);
      this.bytes += took.at - next;
      next = took.at;
      if (took.payload === undefined) continue;
      this.packets += 1;
      if (this.packets > SEQNO_END) throw new PacketError('the peer sends without end under the same keys');
      this.inSeqno = (this.inSeqno + 1) % SEQNO_END; // before the message is handled, as ssh2 counts
      const answer = this._onPayload(took.payload);
      if (answer === false) return next;
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  free(): void {
    this.#isFreed = true;
    this.#frame.free();
  }
}

/** In the form of ssh2. */
interface Outbound {
  readonly onWrite: (packet: Buffer) => void;
  readonly seqno: number;
  readonly cipherInfo: CipherInfo;
  readonly cipherKey: Buffer;
  readonly cipherIV: Buffer;
  readonly macInfo?: MacInfo;
  readonly macKey?: Buffer;
}
interface Inbound {
  readonly onPayload: OnPayload;
  readonly seqno: number;
  readonly decipherInfo: CipherInfo;
  readonly decipherKey: Buffer;
  readonly decipherIV: Buffer;
  readonly macInfo?: MacInfo;
  readonly macKey?: Buffer;
}

const material = (
  cipher: CipherInfo,
  key: Buffer,
  iv: Buffer,
  mac: { macInfo?: MacInfo; macKey?: Buffer },
): KeyMaterial => {
  const { macInfo: info, macKey } = mac;
  return {
    cipher,
    key,
    iv,
    mac: info === undefined || macKey === undefined ? undefined : { info, key: macKey },
  };
};

/** Without a MAC of the kind "encrypt and MAC" the length is not part of what is encrypted. */
const framing = (cipher: CipherInfo, mac: MacInfo | undefined): { block: number; coversLength: boolean } => ({
  block: cipher.blockLen,
  coversLength: mac !== undefined && !mac.isETM,
});

/**
 * Names that ssh2 knows and we do not support: OpenSSL has no algorithm of that name, so ssh2 leaves them
 * out.
 */
const notServed = { sslName: 'not served' };
const withNotServed = <T extends object>(served: Readonly<Record<string, T>>): object =>
  new Proxy(served, {
    get: (table, name) => (typeof name === 'string' ? (table[name] ?? notServed) : undefined),
  });

/**
 * Everything that ssh2 needs of its `protocol/crypto.js`. `primitives` is called when the first keys exist.
 */
export function ssh2Crypto(primitives: () => PacketPrimitives): object {
  class NullCipher extends PacketSender {
    constructor(seqno: number, onWrite: (packet: Buffer) => void) {
      super(plainSealing, { block: PLAIN_BLOCK, coversLength: true }, seqno, onWrite);
    }
  }
  class NullDecipher extends PacketReceiver {
    constructor(seqno: number, onPayload: OnPayload) {
      super(new PacketFrame(plainOpening, PLAIN_BLOCK, true), seqno, onPayload);
    }
  }
  const createCipher = ({ outbound: o }: { outbound: Outbound }): PacketSender =>
    new PacketSender(
      sealingKey(primitives(), material(o.cipherInfo, o.cipherKey, o.cipherIV, o)),
      framing(o.cipherInfo, o.macInfo),
      o.seqno,
      o.onWrite,
    );
  const createDecipher = ({ inbound: i }: { inbound: Inbound }): PacketReceiver => {
    const key = openingKey(primitives(), material(i.decipherInfo, i.decipherKey, i.decipherIV, i));
    const { block, coversLength } = framing(i.decipherInfo, i.macInfo);
    return new PacketReceiver(new PacketFrame(key, block, coversLength), i.seqno, i.onPayload);
  };
  return {
    CIPHER_INFO: withNotServed(servedCiphers),
    MAC_INFO: withNotServed(servedMacs),
    bindingAvailable: false,
    init: Promise.resolve(),
    NullCipher,
    NullDecipher,
    createCipher,
    createDecipher,
  };
}

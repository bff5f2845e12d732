import { timingSafeEqual } from 'node:crypto';
import type { CipherInfo, MacInfo } from './packet-algorithms.ts';
import type { PacketPrimitives } from './packet-primitives.ts';

/** Seals the packets of one direction. */
export interface SealingKey {
  readonly tagBytes: number;
  /** `packet` is the length (4 bytes), the bytes it counts, and space for the tag; it is sealed in place. */
  seal(packet: Buffer, seqno: number): void;
  readonly free: () => void;
}

/** Opens them. Each packet goes through `lengthOf` and then `open`, once, in their order. */
export interface OpeningKey {
  /** How many bytes are needed to know the length. */
  readonly headBytes: number;
  readonly tagBytes: number;
  /** Reads the length that `head`, the first bytes of a packet, claims; may decrypt it in place. */
  lengthOf(head: Buffer, seqno: number): number;
  /** Opens `packet` (length, body, tag) in place. False: it was not sealed by the peer. */
  open(packet: Buffer, seqno: number): boolean;
  readonly free: () => void;
}

/** The result of the key exchange for one direction. */
export interface KeyMaterial {
  readonly cipher: CipherInfo;
  readonly key: Buffer;
  readonly iv: Buffer;
  /** Absent when the cipher authenticates by itself. */
  readonly mac?: { readonly info: MacInfo; readonly key: Buffer } | undefined;
}

const LENGTH = 4;
const GCM_TAG = 16;
const POLY_TAG = 16;

/** Before the first key exchange. */
export const plainSealing: SealingKey = { tagBytes: 0, seal: () => undefined, free: () => undefined };
export const plainOpening: OpeningKey = {
  headBytes: LENGTH,
  tagBytes: 0,
  lengthOf: (head) => head.readUInt32BE(0),
  open: () => true,
  free: () => undefined,
};

/** @throws Error when the material does not match its algorithms: ssh2 is not the version we know. */
export function sealingKey(p: PacketPrimitives, material: KeyMaterial): SealingKey {
  check(material);
  if (material.cipher.sslName.endsWith('-gcm')) return gcmSealing(p, material);
  if (material.cipher.sslName === 'chacha20') return chachaSealing(p, material);
  return ctrSealing(p, material);
}

/** @throws Error when the material does not match its algorithms: ssh2 is not the version we know. */
export function openingKey(p: PacketPrimitives, material: KeyMaterial): OpeningKey {
  check(material);
  if (material.cipher.sslName.endsWith('-gcm')) return gcmOpening(p, material);
  if (material.cipher.sslName === 'chacha20') return chachaOpening(p, material);
  return ctrOpening(p, material);
}

function check({ cipher, key, iv, mac }: KeyMaterial): void {
  const fits = key.length === cipher.keyLen && iv.length === cipher.ivLen;
  const macFits =
    cipher.authLen > 0 ? mac === undefined : mac?.key.length === mac?.info.len && mac !== undefined;
  if (!fits || !macFits) throw new Error(`the keys do not fit ${cipher.sslName}`);
}

/** The invocation counter, the last 8 bytes of the nonce. Source: RFC 5647, 7.1. */
function advance(iv: Buffer): void {
  for (let i = 11; i >= 4; i--) {
    const next = ((iv[i] ?? 0) + 1) & 0xff;
    iv[i] = next;
    if (next !== 0) return;
  }
}

function gcmSealing(p: PacketPrimitives, { cipher, key, iv }: KeyMaterial): SealingKey {
  const aead = p.aead(cipher.sslName, key, 'seal');
  const nonce = Buffer.from(iv);
  return {
    tagBytes: GCM_TAG,
    seal(packet) {
      const end = packet.length - GCM_TAG;
      aead.seal(nonce, packet.subarray(0, LENGTH), packet.subarray(LENGTH, end), packet.subarray(end));
      advance(nonce);
    },
    free: () => {
      aead.free();
    },
  };
}

function gcmOpening(p: PacketPrimitives, { cipher, key, iv }: KeyMaterial): OpeningKey {
  const aead = p.aead(cipher.sslName, key, 'open');
  const nonce = Buffer.from(iv);
  return {
    headBytes: LENGTH,
    tagBytes: GCM_TAG,
    lengthOf: (head) => head.readUInt32BE(0),
    open(packet) {
      const end = packet.length - GCM_TAG;
      const isGood = aead.open(
        nonce,
        packet.subarray(0, LENGTH),
        packet.subarray(LENGTH, end),
        packet.subarray(end),
      );
      advance(nonce);
      return isGood;
    },
    free: () => {
      aead.free();
    },
  };
}

/**
 * Two key streams: one for the length, one for the rest, whose first block keys the tag. For each packet
 * `begin`, then `body` and `tag` in the order that sealing or opening needs. Source: OpenSSH's
 * PROTOCOL.chacha20poly1305.
 */
class ChaCha {
  readonly #primitives: PacketPrimitives;
  readonly #main;
  readonly #head;
  /** Counter (8 bytes, little endian) and sequence number (8 bytes, big endian). */
  readonly #start = Buffer.alloc(16);
  /** A whole block, so that the stream continues where the body begins. */
  readonly #firstBlock = Buffer.alloc(64);
  readonly #polyKey = this.#firstBlock.subarray(0, 32);

  constructor(primitives: PacketPrimitives, key: Buffer) {
    this.#primitives = primitives;
    this.#main = primitives.keyStream('chacha20', key.subarray(0, 32), this.#start);
    this.#head = primitives.keyStream('chacha20', key.subarray(32), this.#start);
  }

  length(fourBytes: Buffer, seqno: number): void {
    this.#head.apply(fourBytes, this.#at(seqno));
  }
  begin(seqno: number): void {
    this.#firstBlock.fill(0);
    this.#main.apply(this.#firstBlock, this.#at(seqno));
  }
  body(data: Buffer): void {
    this.#main.apply(data);
  }
  tag(sealed: Buffer, tag: Buffer): void {
    this.#primitives.poly1305(this.#polyKey, sealed, tag);
  }
  free(): void {
    this.#main.free();
    this.#head.free();
    this.#firstBlock.fill(0);
  }
  #at(seqno: number): Buffer {
    this.#start.writeUInt32BE(seqno, 12);
    return this.#start;
  }
}

function chachaSealing(p: PacketPrimitives, { key }: KeyMaterial): SealingKey {
  const chacha = new ChaCha(p, key);
  return {
    tagBytes: POLY_TAG,
    seal(packet, seqno) {
      const end = packet.length - POLY_TAG;
      chacha.length(packet.subarray(0, LENGTH), seqno);
      chacha.begin(seqno);
      chacha.body(packet.subarray(LENGTH, end));
      chacha.tag(packet.subarray(0, end), packet.subarray(end));
    },
    free: () => {
      chacha.free();
    },
  };
}

function chachaOpening(p: PacketPrimitives, { key }: KeyMaterial): OpeningKey {
  const chacha = new ChaCha(p, key);
  const length = Buffer.alloc(LENGTH);
  const wanted = Buffer.alloc(POLY_TAG);
  return {
    headBytes: LENGTH,
    tagBytes: POLY_TAG,
    lengthOf(head, seqno) {
      length.set(head); // the tag covers the encrypted bytes
      chacha.length(length, seqno);
      return length.readUInt32BE(0);
    },
    open(packet, seqno) {
      const end = packet.length - POLY_TAG;
      chacha.begin(seqno);
      chacha.tag(packet.subarray(0, end), wanted);
      if (!timingSafeEqual(wanted, packet.subarray(end))) return false;
      chacha.body(packet.subarray(LENGTH, end));
      return true;
    },
    free: () => {
      chacha.free();
    },
  };
}

interface CtrParts {
  readonly stream: ReturnType<PacketPrimitives['keyStream']>;
  readonly mac: ReturnType<PacketPrimitives['hmac']>;
  readonly macBytes: number;
  readonly isEtm: boolean;
  readonly free: () => void;
}

function ctrParts(p: PacketPrimitives, { cipher, key, iv, mac }: KeyMaterial): CtrParts {
  if (mac === undefined) throw new Error(`${cipher.sslName} needs a MAC`);
  const stream = p.keyStream(cipher.sslName, key, iv);
  const hmac = p.hmac(mac.info.sslName, mac.key);
  return {
    stream,
    mac: hmac,
    macBytes: mac.info.actualLen,
    isEtm: mac.info.isETM,
    free: () => {
      stream.free();
      hmac.free();
    },
  };
}

function ctrSealing(p: PacketPrimitives, material: KeyMaterial): SealingKey {
  const { stream, mac, macBytes, isEtm, free } = ctrParts(p, material);
  const number = Buffer.alloc(4);
  return {
    tagBytes: macBytes,
    seal(packet, seqno) {
      const end = packet.length - macBytes;
      const all = packet.subarray(0, end);
      number.writeUInt32BE(seqno, 0);
      if (isEtm) stream.apply(packet.subarray(LENGTH, end));
      mac.digest(number, all, packet.subarray(end));
      if (!isEtm) stream.apply(all);
    },
    free,
  };
}

function ctrOpening(p: PacketPrimitives, material: KeyMaterial): OpeningKey {
  const { stream, mac, macBytes, isEtm, free } = ctrParts(p, material);
  const number = Buffer.alloc(4);
  const wanted = Buffer.alloc(macBytes);
  const headBytes = isEtm ? LENGTH : material.cipher.blockLen;
  return {
    headBytes,
    tagBytes: macBytes,
    lengthOf(head) {
      if (!isEtm) stream.apply(head);
      return head.readUInt32BE(0);
    },
    open(packet, seqno) {
      const end = packet.length - macBytes;
      if (!isEtm) stream.apply(packet.subarray(headBytes, end));
      number.writeUInt32BE(seqno, 0);
      mac.digest(number, packet.subarray(0, end), wanted);
      if (!timingSafeEqual(wanted, packet.subarray(end))) return false;
      if (isEtm) stream.apply(packet.subarray(LENGTH, end));
      return true;
    },
    free,
  };
}

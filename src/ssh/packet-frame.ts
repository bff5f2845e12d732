import type { OpeningKey } from './packet-keys.ts';

/** The peer sent something that is not an SSH packet, or one that we do not accept. The connection ends. */
export class PacketError extends Error {
  /** ssh2's marker for errors of this kind. */
  readonly level = 'protocol';
}

/**
 * The largest packet (the value of its length field) that we accept.
 * Source: RFC 4253, 6.1 before the login; OpenSSH's PACKET_MAX_SIZE after it.
 */
export const maxPacketBytes = { beforeLogin: 35_000, afterLogin: 256 * 1024 } as const;

const LENGTH = 4;
/** The padding's length and at least one byte of message, with the least padding. */
const MIN_LENGTH = 1 + 1 + 4;
const MIN_PADDING = 4;

/**
 * Cuts the input into packets and opens them. Holds only bytes that have arrived, never space that a length
 * asks for, and refuses a length as soon as it is known.
 */
export class PacketFrame {
  readonly #key: OpeningKey;
  readonly #block: number;
  readonly #lengthInBlocks: number;
  /** Set by the owner as the connection goes on. */
  maxBytes: number = maxPacketBytes.beforeLogin;
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;
  /** Of the whole packet with its tag, once its length is known. */
  #whole = 0;

  /** `coversLength`: the length field is encrypted together with the body, so both make up whole blocks. */
  constructor(key: OpeningKey, block: number, coversLength: boolean) {
    this.#key = key;
    this.#block = block;
    this.#lengthInBlocks = coversLength ? LENGTH : 0;
  }

  /** Memory allocated for an incomplete packet; at most twice what has arrived of it. */
  get roomBytes(): number {
    return this.#held.length;
  }

  /**
   * Takes bytes from `at` (before `end`) up to the end of one packet. Returns where it stopped, and the
   * message when a packet is complete. @throws PacketError
   */
  take(chunk: Buffer, at: number, end: number, seqno: number): { at: number; payload: Buffer | undefined } {
    if (this.#heldBytes === 0 && end - at >= this.#key.headBytes) {
      this.#whole = this.#sizeOf(chunk.subarray(at, at + this.#key.headBytes), seqno);
      const next = at + this.#whole;
      if (next <= end) {
        this.#whole = 0;
        return { at: next, payload: this.#open(chunk.subarray(at, next), seqno) };
      }
    }
    let from = at;
    if (this.#whole === 0) {
      from = this.#hold(chunk, from, end, this.#key.headBytes);
      if (this.#heldBytes < this.#key.headBytes) return { at: from, payload: undefined };
      this.#whole = this.#sizeOf(this.#held.subarray(0, this.#key.headBytes), seqno);
    }
    from = this.#hold(chunk, from, end, this.#whole);
    if (this.#heldBytes < this.#whole) return { at: from, payload: undefined };
    const packet = this.#held.subarray(0, this.#whole);
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
    this.#whole = 0;
    return { at: from, payload: this.#open(packet, seqno) };
  }

  free(): void {
    this.#key.free();
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
  }

  /** Keeps bytes until `wanted` are held; returns where it stopped. */
  #hold(chunk: Buffer, at: number, end: number, wanted: number): number {
    const bytes = Math.min(wanted - this.#heldBytes, end - at);
    const size = this.#heldBytes + bytes;
    if (size > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(size, Math.min(wanted, 2 * size)));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(chunk.subarray(at, at + bytes), this.#heldBytes);
    this.#heldBytes = size;
    return at + bytes;
  }

  #sizeOf(head: Buffer, seqno: number): number {
    const length = this.#key.lengthOf(head, seqno);
    if (length > this.maxBytes)
      throw new PacketError(`a packet claims ${length} bytes, at most ${this.maxBytes} are taken`);
    if (length < MIN_LENGTH || (this.#lengthInBlocks + length) % this.#block !== 0)
      throw new PacketError(`a packet claims ${length} bytes, which is not a whole number of blocks`);
    return LENGTH + length + this.#key.tagBytes;
  }

  #open(packet: Buffer, seqno: number): Buffer {
    if (!this.#key.open(packet, seqno)) throw new PacketError('a packet was changed on its way');
    const end = packet.length - this.#key.tagBytes;
    const padding = packet[LENGTH] ?? 0;
    const payload = packet.subarray(LENGTH + 1, Math.max(LENGTH + 1, end - padding));
    if (padding < MIN_PADDING || payload.length === 0)
      throw new PacketError(`a packet of ${end - LENGTH} bytes claims ${padding} bytes of padding`);
    return payload;
  }
}

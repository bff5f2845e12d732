/*
 * What a link carries: frames of a type (1 byte), a stream (4 bytes; 0: the link itself) and a length (4
 * bytes), big endian, and as many bytes. Both ends open streams: whoever dialled takes odd numbers, the
 * other even ones.
 */
import { CodedError } from '../base/errors.ts';

export const frameTypes = {
  /** Opens a stream; the body is JSON that says what is wanted. */
  open: 1,
  /** The stream is open; the body is empty, or JSON that says more of it. */
  accept: 2,
  /** It is not; the body is JSON `{code, message}`. */
  refuse: 3,
  data: 4,
  /** So many more bytes (4 bytes) may be sent on this stream. */
  credit: 5,
  /** Nothing more comes on this stream in this direction. */
  end: 6,
  /** The stream is gone in both directions. */
  reset: 7,
  /** Answered with `pong` and the same body. */
  ping: 8,
  pong: 9,
  /** Open nothing more on this link: whoever sends it is about to go. */
  leave: 10,
  /** What the sender says of itself; the body is JSON. */
  notice: 11,
} as const;
export type FrameType = keyof typeof frameTypes;

const names = new Map<number, FrameType>(
  Object.entries(frameTypes).map(([name, code]) => [code, name as FrameType]),
);

export const headerBytes = 9;
/**
 * Of one frame of data: a stream that sends much lets others in between. What SSH sends side by side fits
 * (`ssh/data-packets.ts`).
 */
export const mostDataBytes = 132 * 1024;
/** Of any other frame: what names 64 proxies at addresses of any length fits. */
export const mostControlBytes = 32 * 1024;

export interface Frame {
  readonly type: FrameType;
  readonly stream: number;
  /** Of `data` perhaps only the next part of what the sender put into one frame. */
  readonly body: Buffer;
}

/** The header of a frame whose body of `length` bytes follows. */
export function frameHeader(type: FrameType, stream: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt8(frameTypes[type], 0);
  header.writeUInt32BE(stream, 1);
  header.writeUInt32BE(length, 5);
  return header;
}

/** A whole frame. @throws CodedError `too_large` for a body that the other end would refuse. */
export function frame(type: FrameType, stream: number, body: Buffer = Buffer.alloc(0)): Buffer {
  if (body.length > (type === 'data' ? mostDataBytes : mostControlBytes))
    throw new CodedError('too_large', `a frame "${type}" of ${body.length} bytes is too large for a link`);
  return Buffer.concat([frameHeader(type, stream, body.length), body]);
}

interface Header {
  readonly type: FrameType;
  readonly stream: number;
  /** Bytes of the body that have not come yet. */
  left: number;
}

/**
 * Reads frames off a stream of bytes that comes in any pieces. Data is handed on as it comes, without a
 * copy; any other frame when it is whole.
 */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #header: Header | undefined;
  /** Of a header, or of a body that is not data. */
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws CodedError `bad_request` for what no sender of frames writes; nothing can be read after it. */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0)
      rest = this.#header === undefined ? this.#head(rest) : this.#body(rest, this.#header);
  }

  #head(rest: Buffer): Buffer {
    const { whole, after } = this.#gather(rest, headerBytes);
    if (whole === undefined) return after;
    const header = readHeader(whole);
    this.#header = header;
    if (header.left === 0) this.#give(header, Buffer.alloc(0));
    return after;
  }

  #body(rest: Buffer, header: Header): Buffer {
    if (header.type === 'data') {
      const part = rest.subarray(0, header.left);
      header.left -= part.length;
      if (header.left === 0) this.#header = undefined;
      this.#onFrame({ type: 'data', stream: header.stream, body: part });
      return rest.subarray(part.length);
    }
    const { whole, after } = this.#gather(rest, header.left);
    if (whole !== undefined) this.#give(header, whole);
    return after;
  }

  #give({ type, stream }: Header, body: Buffer): void {
    this.#header = undefined;
    this.#onFrame({ type, stream, body });
  }

  /** Bytes are held until there are `wanted`. */
  #gather(rest: Buffer, wanted: number): { readonly whole: Buffer | undefined; readonly after: Buffer } {
    const part = rest.subarray(0, wanted - this.#heldBytes);
    this.#held.push(part);
    this.#heldBytes += part.length;
    const after = rest.subarray(part.length);
    if (this.#heldBytes < wanted) return { whole: undefined, after };
    const whole = this.#held.length === 1 ? part : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return { whole, after };
  }
}

function readHeader(bytes: Buffer): Header {
  const type = names.get(bytes.readUInt8(0));
  const stream = bytes.readUInt32BE(1);
  const left = bytes.readUInt32BE(5);
  if (type === undefined)
    throw new CodedError('bad_request', `a link carried a frame of type ${bytes[0] ?? 0}`);
  if (left > (type === 'data' ? mostDataBytes : mostControlBytes))
    throw new CodedError('bad_request', `a link carried a frame "${type}" of ${left} bytes`);
  if (fixedBytes.get(type) !== undefined && fixedBytes.get(type) !== left)
    throw new CodedError('bad_request', `a link carried a frame "${type}" of ${left} bytes`);
  return { type, stream, left };
}

/** Bodies that have one size only. */
const fixedBytes: ReadonlyMap<FrameType, number> = new Map([
  ['credit', 4],
  ['end', 0],
  ['reset', 0],
]);

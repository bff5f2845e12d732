import { z } from 'zod';
import { CodedError } from '../base/errors.ts';

/*
 * What happened in a terminal, one frame for each thing:
 *
 *     u8 type | varint milliseconds since the frame before | varint length | payload
 *
 * In the first frame of a chunk the time is since the session began, so that each chunk can be read alone.
 * A varint has seven bits a byte, the lowest first; the highest bit says that more follow. A reader passes
 * over types that it does not know.
 */

const natural = z.number().int().nonnegative();

/** What is known of a session when it begins. */
export const sessionAbout = z.object({
  sid: z.string(),
  user: z.string(),
  login: z.string(),
  hostId: z.string(),
  hostname: z.string(),
  clusterName: z.string(),
  /** By the machine that records. */
  startedAt: z.string(),
  /** `TERM`. */
  term: z.string(),
  columns: natural,
  rows: natural,
  /** Where it is no shell. */
  command: z.string().optional(),
});
export type SessionAbout = z.infer<typeof sessionAbout>;

/** Somebody who came or went. */
const participant = z.object({
  user: z.string(),
  mode: z.enum(['owner', 'observer', 'peer', 'moderator']),
});
export type Participant = z.infer<typeof participant>;

/** Output that was shown and is not in the recording. */
const gap = z.object({ bytes: natural, reason: z.string() });
export type Gap = z.infer<typeof gap>;

export type Frame = { readonly atMs: number } & FrameContent;

export type FrameContent =
  | { readonly type: 'start'; readonly about: SessionAbout }
  | { readonly type: 'output'; readonly bytes: Uint8Array }
  | { readonly type: 'input'; readonly bytes: Uint8Array }
  | { readonly type: 'resize'; readonly columns: number; readonly rows: number }
  | { readonly type: 'joined'; readonly who: Participant }
  | { readonly type: 'left'; readonly who: Participant }
  | { readonly type: 'gap'; readonly gap: Gap }
  /** The program ended. */
  | { readonly type: 'end'; readonly exit: string };

const numbers = { start: 1, output: 2, input: 3, resize: 4, joined: 5, left: 6, gap: 7, end: 8 } as const;
type FrameType = keyof typeof numbers;
const types = new Map<number, FrameType>(
  Object.entries(numbers).map(([type, number]) => [number, type as FrameType]),
);

const damaged = (why: string): CodedError => new CodedError('damaged', `a frame of a recording ${why}`);

/** @param value a natural number below 2^53. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

function payloadOf(content: FrameContent): Uint8Array {
  switch (content.type) {
    case 'output':
    case 'input':
      return content.bytes;
    case 'resize': {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt16BE(content.columns, 0);
      bytes.writeUInt16BE(content.rows, 2);
      return bytes;
    }
    case 'start':
      return jsonBytes(content.about);
    case 'joined':
    case 'left':
      return jsonBytes(content.who);
    case 'gap':
      return jsonBytes(content.gap);
    case 'end':
      return Buffer.from(content.exit);
  }
}

const jsonBytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/**
 * @param sinceMs whole milliseconds since the frame before it in the chunk; of the first: since the session
 *   began.
 */
export function encodeFrame(content: FrameContent, sinceMs: number): Buffer {
  const payload = payloadOf(content);
  const head = [Buffer.of(numbers[content.type]), varint(sinceMs), varint(payload.length)];
  return Buffer.concat([...head, payload]);
}

/**
 * The frames of one chunk, with times since the session began. Bytes are slices of `chunk`.
 * @throws CodedError `damaged` for bytes that are none: nobody who has the key of the session wrote them so.
 */
export function* decodeFrames(chunk: Buffer): Generator<Frame> {
  const reader = new FrameReader(chunk);
  let atMs = 0;
  while (!reader.atEnd) {
    const type = types.get(reader.byte());
    atMs += reader.varint();
    const payload = reader.bytes(reader.varint());
    if (type !== undefined) yield { atMs, ...contentOf(type, payload) };
  }
}

class FrameReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw damaged('is cut short');
    return byte;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
      const byte = this.byte();
      value += (byte % 128) * factor;
      if (byte >= 128) continue;
      if (!Number.isSafeInteger(value)) break;
      return value;
    }
    throw damaged('has a number that is too large');
  }

  bytes(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw damaged('is cut short');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

function contentOf(type: FrameType, payload: Buffer): FrameContent {
  switch (type) {
    case 'output':
    case 'input':
      return { type, bytes: payload };
    case 'resize':
      if (payload.length < 4) throw damaged('is cut short');
      return { type, columns: payload.readUInt16BE(0), rows: payload.readUInt16BE(2) };
    case 'start':
      return { type, about: fromJson(sessionAbout, payload) };
    case 'joined':
    case 'left':
      return { type, who: fromJson(participant, payload) };
    case 'gap':
      return { type, gap: fromJson(gap, payload) };
    case 'end':
      return { type, exit: payload.toString('utf8') };
  }
}

function fromJson<T>(shape: z.ZodType<T>, payload: Buffer): T {
  try {
    return shape.parse(JSON.parse(payload.toString('utf8')));
  } catch (cause) {
    throw new CodedError('damaged', 'a frame of a recording is not what its type says', { cause });
  }
}

import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import {
  type ChainEnd,
  type Chunk,
  after,
  breakOf,
  isSessionId,
  longestChunk,
  noChunks,
  readChunk,
} from './chunk.ts';
import type { ChunkSink } from './chunk-sink.ts';
import { sessionAbout } from './frame.ts';

/*
 * A recording in a file: "TRF1" | u32 length, big-endian | JSON in UTF-8 | chunks. Chunks are appended; what
 * is behind the last whole one that continues the chain was cut short and counts as nothing.
 */

const magic = Buffer.from('TRF1');
const longestPreamble = 64 * 1024;

const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/);

const preamble = z.object({
  about: sessionAbout.extend({ sid: z.string().refine(isSessionId, 'not the id of a session') }),
  /** The key of the session as it is: in files for whoever may play it. */
  key: base64.optional(),
  /** The key of the session, sealed for auth: in files that wait to be sent. */
  sealedKey: base64.optional(),
  /** What whoever wrote the file needs when it is found again. */
  details: z.unknown().optional(),
});
export type Preamble = z.infer<typeof preamble>;

const codeOf = (e: unknown): 'no_space' | 'unavailable' =>
  ['ENOSPC', 'EDQUOT', 'EFBIG'].includes((e as NodeJS.ErrnoException).code ?? '')
    ? 'no_space'
    : 'unavailable';

const failure = (what: string, path: string, e: unknown): CodedError =>
  new CodedError(codeOf(e), `cannot ${what} the recording ${path}: ${messageOf(e)}`, { cause: e });

export function encodePreamble(content: Preamble): Buffer {
  const json = Buffer.from(JSON.stringify(content));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([magic, length, json]);
}

/**
 * Makes a file for one recording; what is written to it is durable. It must not exist.
 * @throws CodedError `no_space` or `unavailable`; then there is none.
 */
export async function createRecordingFile(path: string, content: Preamble): Promise<ChunkSink> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx', 0o600);
    const bytes = encodePreamble(content);
    await writeAt(file, bytes, 0);
    return new RecordingFile(path, file, bytes.length);
  } catch (e) {
    await file?.close();
    throw failure('begin', path, e);
  }
}

async function writeAt(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  await file.datasync();
}

class RecordingFile implements ChunkSink {
  readonly #path: string;
  readonly #file: FileHandle;
  #size: number;

  constructor(path: string, file: FileHandle, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  /** A write that failed leaves nothing that counts: the next one goes to the same place. */
  async write(chunks: readonly Chunk[]): Promise<void> {
    const bytes = Buffer.concat(chunks.map((one) => one.bytes));
    try {
      await writeAt(this.#file, bytes, this.#size);
    } catch (e) {
      await this.#file.truncate(this.#size).catch(() => undefined); // a reader stops at a part of a chunk anyway
      throw failure('write', this.#path, e);
    }
    this.#size += bytes.length;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** A recording in a file, being read; also while another process appends to it. */
export interface OpenedRecording extends AsyncDisposable {
  readonly preamble: Preamble;
  /**
   * The next whole chunks that continue the chain, at least one unless there is none now, up to about this
   * many bytes.
   */
  next(mostBytes: number): Promise<readonly Chunk[]>;
  /** `next` begins again at the first chunk. */
  rewind(): void;
  /** Where the chain has come to, as far as it was read. */
  readonly end: ChainEnd;
  /** Where in the file the next chunk begins. */
  readonly at: number;
  /** Output in the chunks that were read. */
  readonly outputBytes: number;
}

/** @throws CodedError `damaged` for a file that is none, `not_found`, `unavailable`. */
export async function openRecordingFile(path: string): Promise<OpenedRecording> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT')
      throw new CodedError('not_found', `there is no file ${path}`, { cause: e });
    throw failure('read', path, e);
  }
  try {
    return new Reading(path, file, await readPreamble(path, file));
  } catch (e) {
    await file.close();
    throw isCoded(e) ? e : failure('read', path, e);
  }
}

interface Begin {
  readonly preamble: Preamble;
  readonly bytes: number;
}

async function readPreamble(path: string, file: FileHandle): Promise<Begin> {
  const none = (why: string): CodedError =>
    new CodedError('damaged', `${path} is not a recording of a session: ${why}`);
  const head = await readAt(file, 0, 8);
  if (head.length < 8 || !head.subarray(0, 4).equals(magic)) throw none('it does not begin like one');
  const length = head.readUInt32BE(4);
  if (length > longestPreamble) throw none('its beginning is too long');
  const json = await readAt(file, 8, length);
  if (json.length < length) throw none('its beginning is cut short');
  try {
    return { preamble: preamble.parse(JSON.parse(json.toString('utf8'))), bytes: 8 + length };
  } catch {
    throw none('its beginning does not say of which session');
  }
}

/** Up to `length` bytes, fewer at the end of the file. */
async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(bytes, read, length - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}

class Reading implements OpenedRecording {
  readonly preamble: Preamble;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #begin: number;
  #at: number;
  #end = noChunks;
  outputBytes = 0;

  constructor(path: string, file: FileHandle, { preamble: content, bytes }: Begin) {
    this.#path = path;
    this.#file = file;
    this.preamble = content;
    this.#begin = bytes;
    this.#at = bytes;
  }

  get end(): ChainEnd {
    return this.#end;
  }

  get at(): number {
    return this.#at;
  }

  rewind(): void {
    this.#at = this.#begin;
    this.#end = noChunks;
    this.outputBytes = 0;
  }

  async next(mostBytes: number): Promise<readonly Chunk[]> {
    let bytes: Buffer;
    try {
      const { size } = await this.#file.stat();
      const wanted = Math.min(Math.max(mostBytes, longestChunk), Math.max(0, size - this.#at));
      bytes = await readAt(this.#file, this.#at, wanted);
    } catch (e) {
      throw failure('read', this.#path, e);
    }
    const chunks: Chunk[] = [];
    let used = 0;
    while (used < mostBytes || chunks.length === 0) {
      const found = readChunk(bytes.subarray(used));
      if (found.status !== 'chunk') break;
      if (breakOf(this.preamble.about.sid, this.#end, found.chunk) !== undefined) break;
      chunks.push(found.chunk);
      this.#end = after(found.chunk);
      this.outputBytes += found.chunk.head.outputBytes;
      used += found.chunk.bytes.length;
    }
    this.#at += used;
    return chunks;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

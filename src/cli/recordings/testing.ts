import { openRecording, readRecording } from '../../api/operations/recording.ts';
import { type Chunk, noChunks } from '../../recording/chunk.ts';
import { encodePreamble } from '../../recording/recording-file.ts';
import { testAbout, testKey, testSid } from '../../recording/testing.ts';
import { AnsweringAuth } from '../testing.ts';

const key = Buffer.from(testKey).toString('base64');

export interface StoredWish {
  /** How many chunks there are when the recording is opened; the others come later. Default: all. */
  readonly known?: number;
  /** How many chunks an answer has. Default: all. */
  readonly atOnce?: number;
  /** What auth says of the last one. Default: the truth. */
  readonly head?: string;
}

/** An auth server that has these chunks of the session `testSid`. */
export function authWith(chunks: readonly Chunk[], wish: StoredWish = {}): AnsweringAuth {
  const { known = chunks.length, atOnce = chunks.length } = wish;
  const last = chunks[known - 1];
  const head = wish.head ?? (last?.hash ?? noChunks.hash).toString('hex');
  return new AnsweringAuth()
    .on(openRecording, () => ({ key, next: known, head, isOver: last?.head.isLast === true }))
    .on(readRecording, ({ sid, first }) => {
      const sent = sid === testSid ? chunks.slice(first, first + atOnce) : [];
      return { chunks: Buffer.concat(sent.map(({ bytes }) => bytes)).toString('base64') };
    });
}

/** What `tctl recordings export` would write. */
export const exported = (chunks: readonly Chunk[], withKey = true): Buffer =>
  Buffer.concat([
    encodePreamble(withKey ? { about: testAbout, key } : { about: testAbout }),
    ...chunks.map(({ bytes }) => bytes),
  ]);

/** The same chunks, and a bit of one of them is another. */
export const spoilt = (chunks: readonly Chunk[], number: number): Chunk[] =>
  chunks.map((chunk, i) => {
    if (i !== number) return chunk;
    const bytes = Buffer.from(chunk.bytes);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    return { ...chunk, bytes };
  });

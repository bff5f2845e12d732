import type { AuthClient } from '../../api/client.ts';
import { openRecording, readRecording } from '../../api/operations/recording.ts';
import { CodedError } from '../../base/errors.ts';
import { after, breakOf, type ChainEnd, type Chunk, noChunks, openChunk } from '../../recording/chunk.ts';
import { chunksIn } from '../../recording/chunks-in.ts';
import { decodeFrames, type SessionAbout } from '../../recording/frame.ts';

/** A recording that auth has. That it was asked for is in the audit. */
export interface FetchedRecording {
  readonly sid: string;
  /** 32 bytes. */
  readonly key: Buffer;
  /** The last chunk of the session is stored. */
  readonly isOver: boolean;
  /**
   * All chunks that there are now, in order, about a megabyte at a time. To be called once.
   * @throws CodedError `damaged` when they are no chain, or lead to another head than auth said.
   */
  readonly chunks: () => AsyncGenerator<readonly Chunk[]>;
  /** Those that came after the ones that were read; none where there are none yet. */
  readonly more: () => Promise<readonly Chunk[]>;
}

/** @throws CodedError `not_found` for one that was not recorded, was erased, or may not be seen. */
export async function fetchRecording(auth: AuthClient, sid: string): Promise<FetchedRecording> {
  const { key, next, head, isOver } = await auth.call(openRecording, { sid });
  let end: ChainEnd = noChunks;
  const more = async (): Promise<readonly Chunk[]> => {
    const { chunks } = await auth.call(readRecording, { sid, first: end.next });
    const read = chunksIn(sid, Buffer.from(chunks, 'base64'));
    for (const chunk of read) {
      const broken = breakOf(sid, end, chunk);
      if (broken !== undefined) throw new CodedError('damaged', `the recording of ${sid}: ${broken}`);
      end = after(chunk);
      if (end.next === next && end.hash.toString('hex') !== head)
        throw new CodedError('damaged', `the recording of ${sid}: chunk ${next - 1} is not what was stored`);
    }
    return read;
  };
  async function* chunks(): AsyncGenerator<readonly Chunk[]> {
    while (end.next < next) {
      const read = await more();
      if (read.length === 0)
        throw new CodedError('damaged', `the recording of ${sid}: chunk ${end.next} of ${next} is missing`);
      yield read;
    }
  }
  return { sid, key: Buffer.from(key, 'base64'), isOver, chunks, more };
}

/** What the first chunk says of the session. @throws CodedError `damaged` when it says nothing. */
export function aboutIn(first: Chunk | undefined, key: Uint8Array): SessionAbout {
  for (const frame of first === undefined ? [] : decodeFrames(openChunk(first, key)))
    if (frame.type === 'start') return frame.about;
  throw new CodedError('damaged', 'the recording does not begin with the beginning of a session');
}

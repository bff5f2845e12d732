import { pause } from '../../base/backoff.ts';
import { CodedError, type ErrorCode, isCoded } from '../../base/errors.ts';
import { uploadBytes } from '../../api/operations/recording.ts';
import type { Chunk } from '../../recording/chunk.ts';
import type { ChunkSink } from '../../recording/chunk-sink.ts';
import type { Upload } from './recording-uploads.ts';

/** For how long an auth server may be away before a session counts as one that cannot be recorded. */
const patienceMs = 20_000;
const againMs = 500;
/**
 * What may pass within that time. Not among them is a full disk at auth: that is said at once, because it
 * decides who may go on without a recording.
 */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['unavailable', 'limit_exceeded', 'quota', 'conflict', 'ambiguous', 'internal'] as const),
]);

export interface RemoteSink extends ChunkSink {
  /** Where auth keeps the recording; undefined before it has any. */
  readonly place: string | undefined;
}

/** Chunks go to auth at once, and nothing is kept on this machine: `session_recording: node-sync`. */
export function remoteSink({
  upload,
  ...whose
}: {
  readonly upload: Upload;
  readonly sid: string;
  readonly user: string;
  readonly sealedKey: string;
}): RemoteSink {
  let place: string | undefined;
  const send = async (chunks: readonly Chunk[]): Promise<void> => {
    const first = chunks[0]?.head.number ?? 0;
    const bytes = Buffer.concat(chunks.map((one) => one.bytes));
    const began = performance.now();
    for (;;)
      try {
        const answer = await upload({ ...whose, first, chunks: bytes.toString('base64') });
        place = answer.place;
        if (answer.next >= first + chunks.length) return;
        throw new CodedError('unavailable', `auth has no more than ${answer.next} chunks of this recording`);
      } catch (e) {
        if (!isCoded(e)) throw e;
        if (!passing.has(e.code) || performance.now() - began > patienceMs) throw e;
        await pause(e.retryAfterMs ?? againMs);
      }
  };
  return {
    get place() {
      return place;
    },
    write: async (chunks) => {
      let some: Chunk[] = [];
      let bytes = 0;
      for (const chunk of chunks) {
        if (some.length > 0 && bytes + chunk.bytes.length > uploadBytes) {
          await send(some);
          [some, bytes] = [[], 0];
        }
        some.push(chunk);
        bytes += chunk.bytes.length;
      }
      if (some.length > 0) await send(some);
    },
    close: () => Promise.resolve(),
  };
}

import { pause } from '../../base/backoff.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { uploadBytes } from '../../api/operations/recording.ts';
import type { Chunk } from '../../recording/chunk.ts';
import type { ChunkSink } from '../../recording/chunk-sink.ts';
import type { Upload } from './recording-uploads.ts';

/** For how long an auth server may be away before a session counts as one that cannot be recorded. */
const patienceMs = 20_000;
const againMs = 500;

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
        const passing = e.code === 'unavailable' || e.code === 'limit_exceeded';
        if (!passing || performance.now() - began > patienceMs) throw e;
        await pause(againMs);
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

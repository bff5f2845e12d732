import { isCoded } from '../base/errors.ts';
import type { RecordingStore } from './recording-store.ts';
import { after, breakOf, noChunks } from './chunk.ts';

/** What the log says of a recording. */
export interface ToldRecording {
  readonly sid: string;
  /** Hash of its last chunk, in hex. */
  readonly head: string;
  readonly chunks: number;
  /** The log says that all of it was stored. */
  readonly wasStored: boolean;
}

export interface RecordingsReport {
  /** Those whose chain leads to the head on the log. */
  readonly whole: number;
  readonly chunks: number;
  /** Not stored yet, nor does the log say so: a machine has them, or had. */
  readonly waiting: readonly string[];
  /** In words, with the session and the first bad chunk. */
  readonly faults: readonly string[];
}

/**
 * Compares what is stored with what the log says, chunk by chunk, without any key: also of recordings whose
 * key was destroyed.
 * @throws as the store does when it cannot be read at all.
 */
export async function verifyRecordings(
  store: Pick<RecordingStore, 'read'>,
  told: Iterable<ToldRecording>,
): Promise<RecordingsReport> {
  let [whole, chunks] = [0, 0];
  const waiting: string[] = [];
  const faults: string[] = [];
  for (const one of told) {
    const found = await walk(store, one);
    if (found.fault === undefined) {
      whole++;
      chunks += found.chunks;
    } else if (found.isShort && !one.wasStored) waiting.push(one.sid);
    else faults.push(`the recording of session ${one.sid}: ${found.fault}`);
  }
  return { whole, chunks, waiting, faults };
}

interface Walked {
  readonly chunks: number;
  /** Everything that is there is good; more should be. */
  readonly isShort: boolean;
  readonly fault: string | undefined;
}

async function walk(
  store: Pick<RecordingStore, 'read'>,
  { sid, head, chunks: due }: ToldRecording,
): Promise<Walked> {
  let end = noChunks;
  const bad = (fault: string): Walked => ({ chunks: end.next, isShort: false, fault });
  try {
    while (end.next < due) {
      const read = await store.read(sid, end.next);
      if (read.length === 0)
        return { chunks: end.next, isShort: true, fault: `chunk ${end.next} of ${due} is missing` };
      for (const chunk of read) {
        const broken = breakOf(sid, end, chunk);
        if (broken !== undefined) return bad(broken);
        end = after(chunk);
        if (end.next === due && end.hash.toString('hex') !== head)
          return bad(`chunk ${due - 1} is not what the log says the last one was`);
      }
    }
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    return bad(e.message);
  }
  return { chunks: end.next, isShort: false, fault: undefined };
}

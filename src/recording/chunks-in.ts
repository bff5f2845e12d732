import { CodedError } from '../base/errors.ts';
import { after, breakOf, type ChainEnd, type Chunk, readChunk } from './chunk.ts';

/**
 * Chunks that lie behind each other in some bytes.
 * @throws CodedError `damaged` for anything else, also for a part of a chunk at the end.
 */
export function chunksIn(sid: string, bytes: Buffer): readonly Chunk[] {
  const chunks: Chunk[] = [];
  let end: ChainEnd | undefined;
  for (let at = 0; at < bytes.length;) {
    const found = readChunk(bytes.subarray(at));
    if (found.status !== 'chunk')
      throw new CodedError('damaged', found.status === 'damaged' ? found.why : 'a chunk is cut short');
    const { chunk } = found;
    const due = end ?? { next: chunk.head.number, hash: chunk.head.before, isOver: false };
    const broken = breakOf(sid, due, chunk);
    if (broken !== undefined) throw new CodedError('damaged', broken);
    end = after(chunk);
    chunks.push(chunk);
    at += chunk.bytes.length;
  }
  return chunks;
}

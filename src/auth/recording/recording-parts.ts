import { CodedError } from '../../base/errors.ts';
import type { ObjectStore } from '../../base/object-store.ts';
import { after, breakOf, type ChainEnd, type Chunk, noChunks, readChunk } from '../../recording/chunk.ts';

/*
 * A recording as objects: each has some chunks, byte for byte as they were sent, and says in its name which,
 * and between which hashes of the chain:
 *
 *     <2 digits of the id>/<id>/<first>-<last>-<hash before>-<hash of the last>[-end].part
 *
 * So a listing shows how far a recording has come, whoever stored it. The same chunks have the same name.
 * Where two servers stored at once, parts overlap; readers pass over what they have.
 */

export interface Part {
  readonly name: string;
  readonly first: number;
  readonly last: number;
  /** Hex. */
  readonly before: string;
  readonly head: string;
  readonly isEnd: boolean;
  readonly bytes: number;
}

export const partsFolder = (sid: string): string => `${sid.slice(0, 2)}/${sid}/`;

const number = (n: number): string => String(n).padStart(10, '0');
const shape = /^(\d{10})-(\d{10})-([0-9a-f]{64})-([0-9a-f]{64})(-end)?\.part$/;

/** Chunks that follow each other. */
export function partName(sid: string, chunks: readonly Chunk[]): string {
  const [first] = chunks;
  const last = chunks.at(-1);
  if (first === undefined || last === undefined) throw new RangeError('a part has at least one chunk');
  const range = `${number(first.head.number)}-${number(last.head.number)}`;
  const hashes = `${first.head.before.toString('hex')}-${last.hash.toString('hex')}`;
  return `${partsFolder(sid)}${range}-${hashes}${last.head.isLast ? '-end' : ''}.part`;
}

/** Undefined for a name that `partName` does not make. */
export function readPartName(sid: string, name: string, bytes: number): Part | undefined {
  const folder = partsFolder(sid);
  const found = name.startsWith(folder) ? shape.exec(name.slice(folder.length)) : undefined;
  if (found == null) return undefined;
  const [, first = '', last = '', before = '', head = '', end] = found;
  return {
    ...{ name, before, head, bytes },
    first: Number(first),
    last: Number(last),
    isEnd: end !== undefined,
  };
}

/** The parts of one recording, in order. @throws as the store does. */
export async function listParts(objects: Pick<ObjectStore, 'list'>, sid: string): Promise<readonly Part[]> {
  const listed = await objects.list(partsFolder(sid));
  return listed.flatMap(({ name, bytes }) => readPartName(sid, name, bytes) ?? []);
}

/** A way through the parts that covers as much as there is, by their names. */
export function chainOf(parts: readonly Part[]): { readonly parts: readonly Part[]; readonly end: ChainEnd } {
  const chain: Part[] = [];
  let end = { next: 0, hash: noChunks.hash.toString('hex'), isOver: false };
  for (;;) {
    const continues = (one: Part): boolean =>
      one.last >= end.next && (one.first === end.next ? one.before === end.hash : one.first < end.next);
    const [longest] = parts.filter(continues).sort((a, b) => b.last - a.last);
    if (longest === undefined || end.isOver) break;
    chain.push(longest);
    end = { next: longest.last + 1, hash: longest.head, isOver: longest.isEnd };
  }
  return { parts: chain, end: { ...end, hash: Buffer.from(end.hash, 'hex') } };
}

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

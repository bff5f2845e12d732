import type { ObjectStore } from '../base/object-store.ts';
import { type ChainEnd, type Chunk, noChunks } from './chunk.ts';

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

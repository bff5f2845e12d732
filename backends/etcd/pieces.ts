import type { ICompare } from 'etcd3';
import { maxBatchBytes } from './options.ts';
import { settled } from './settling.ts';
import { freeing, type Store } from './store.ts';
import {
  absent,
  deleteRange,
  get,
  getRange,
  look,
  oneOf,
  put,
  readAll,
  revisionIs,
  write,
} from './transactions.ts';

/** The keys of a blob. */
export interface Blob {
  readonly first: string;
  readonly pieces: { readonly from: string; readonly end: string };
  readonly tombstone: string;
  piece(n: number): string;
}

const countBytes = 4;

/** u32 BE: how many pieces; then the value. So an incomplete blob is recognised. */
export function piecesOf(value: Uint8Array): Buffer[] {
  const all = Buffer.concat([Buffer.alloc(countBytes), value]);
  const count = Math.max(1, Math.ceil(all.length / maxBatchBytes));
  all.writeUInt32BE(count, 0);
  return Array.from({ length: count }, (_, i) => all.subarray(i * maxBatchBytes, (i + 1) * maxBatchBytes));
}

/** Of a value that has one piece only. */
export const firstPieceOf = (value: Uint8Array): Buffer => piecesOf(value)[0] ?? Buffer.alloc(0);

/** Undefined when a piece is missing. */
export function wholeOf(pieces: readonly Buffer[]): Buffer | undefined {
  const [first] = pieces;
  if (first === undefined || first.length < countBytes) return undefined;
  const count = first.readUInt32BE(0);
  if (pieces.length < count) return undefined;
  return Buffer.concat([first.subarray(countBytes), ...pieces.slice(1, count)]);
}

/**
 * Puts what follows the first piece, the last one first, and nothing over anything: each on condition that
 * the one put before it is still that one. All are deleted together, by whoever deletes: so the last link
 * holds the whole chain.
 * @returns what the first piece must demand. Undefined when another process is writing the same blob.
 */
export async function putLaterPieces(
  store: Store,
  blob: Blob,
  later: readonly Buffer[],
): Promise<ICompare[] | undefined> {
  if (later.length === 0) return [];
  if (!(await clearLater(store, blob))) return undefined;
  let chain: ICompare[] = [];
  for (let n = later.length; n >= 1; n--) {
    const revision = await putPiece(store, blob, { n, value: later[n - 1] ?? Buffer.alloc(0), chain });
    if (revision === undefined) return undefined;
    chain = [revisionIs(blob.piece(n), revision)];
  }
  return chain;
}

/** Removes the remains of an earlier attempt. False when the blob is there. */
async function clearLater({ peers, freed }: Store, blob: Blob): Promise<boolean> {
  const { pages } = await readAll(peers, [getRange({ ...blob.pieces, limit: 1, keysOnly: true })]);
  if (pages[0]?.found.length === 0) return true;
  const { succeeded } = await freeing(freed, () =>
    write(peers, { compare: [absent(blob.first)], success: [deleteRange(blob.pieces)] }),
  );
  return succeeded;
}

/** etcd's revision then. */
async function putPiece(
  { peers }: Store,
  blob: Blob,
  { n, value, chain }: { n: number; value: Buffer; chain: readonly ICompare[] },
): Promise<string | undefined> {
  const key = blob.piece(n);
  const end = await settled<{ revision: string | undefined }>(
    async () => {
      const answer = await write(peers, {
        compare: [absent(blob.tombstone), absent(blob.first), absent(key), ...chain],
        success: [put(key, value)],
      });
      return { revision: answer.succeeded ? answer.revision : undefined };
    },
    async () => {
      const answer = await readAll(peers, { compare: [...chain], success: [get(key)], failure: [look(key)] });
      const stored = oneOf(answer, 0);
      return answer.succeeded && stored?.value.equals(value) ? { revision: stored.revision } : undefined;
    },
  );
  return end.revision;
}

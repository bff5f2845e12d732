import { type Item, itemsFrom } from './pages.ts';
import { maxBatchBytes } from './options.ts';
import type { TableAccess } from './table-access.ts';

/** The hash keys of values. */
export type BlobStores = 'vault' | 'snapshots' | 'meta';

/**
 * In place of the number of pieces: more than there can be, so that the previous release takes it for half a
 * value.
 */
const destroyed = 0xffffffff;
export const tombstoneValue = Buffer.alloc(4, 0xff);

export const sortOfPiece = (key: string, piece: number): string =>
  `${key}\u0000${String(piece).padStart(6, '0')}`;
/** After all pieces of a key. */
export const endOf = (key: string): string => `${key}\u0000~`;

/** u32 BE: how many pieces; then the value. */
export function piecesOf(value: Uint8Array): Buffer[] {
  const all = Buffer.concat([Buffer.alloc(4), value]);
  const count = Math.max(1, Math.ceil(all.length / maxBatchBytes));
  all.writeUInt32BE(count, 0);
  return Array.from({ length: count }, (_, i) => all.subarray(i * maxBatchBytes, (i + 1) * maxBatchBytes));
}

/** `pieces`: those after the first. */
export type StoredBlob =
  | { readonly status: 'whole'; readonly value: Buffer }
  | { readonly status: 'none' | 'destroyed'; readonly pieces: readonly Item[] }
  /** Its first piece is there, but not all that it refers to. */
  | { readonly status: 'torn'; readonly first: Item; readonly pieces: readonly Item[] };

export async function readBlob(table: TableAccess, store: BlobStores, key: string): Promise<StoredBlob> {
  const pieces: Item[] = [];
  let first: Item | undefined;
  for await (const item of itemsFrom(table, store, sortOfPiece(key, 0), { to: endOf(key) }))
    if (item.sort === sortOfPiece(key, 0)) first = item;
    else pieces.push(item);
  if (first === undefined) return { status: 'none', pieces };
  const head = Buffer.from(first.value ?? []);
  const count = head.length < 4 ? 0 : head.readUInt32BE(0);
  if (first.isTombstone || count === destroyed) return { status: 'destroyed', pieces };
  const content = Buffer.from(first.content ?? []);
  const later = pieces.slice(0, Math.max(0, count - 1));
  const isWhole =
    count > 0 &&
    later.length === count - 1 &&
    later.every(
      (one, i) => one.sort === sortOfPiece(key, i + 1) && content.equals(Buffer.from(one.content ?? [])),
    );
  if (!isWhole) return { status: 'torn', first, pieces };
  return {
    status: 'whole',
    value: Buffer.concat([head.subarray(4), ...later.map((one) => one.value ?? Buffer.alloc(0))]),
  };
}

import type { Partition } from '../../src/log/event.ts';

const slotDigits = 20;

export type BlobStoreName = 'vault' | 'snapshots' | 'meta';

/** Names of everything we keep, below the prefix. */
export interface Keys {
  /** The name of the form of everything below; see `format.ts`. */
  readonly format: string;
  slot(partition: Partition, slot: number): string;
  /** Names the newest slot (`head.ts`): an append is compared with it, and followers watch it. */
  head(partition: Partition): string;
  /** Number of the first slot that was not trimmed. */
  floor(partition: Partition): string;
  /** First key after the last slot of the partition. */
  slotsEnd(partition: Partition): string;
  slotOf(key: string): number;
  blob(store: BlobStoreName, key: string, piece: number): string;
  blobPieces(store: BlobStoreName, key: string): { readonly from: string; readonly end: string };
  blobs(store: BlobStoreName, prefix: string): { readonly from: string; readonly end: string };
  /** The blob's key, without store and piece. */
  blobKeyOf(store: BlobStoreName, key: string): string;
  /** Exists when the blob was destroyed for good. */
  destroyed(store: BlobStoreName, key: string): string;
  /** All of ours. */
  readonly all: { readonly from: string; readonly end: string };
}

/** `/teleport`, `teleport/` and `teleport` are one place. */
export function keysBelow(prefix: string): Keys {
  const root = `/${prefix.replaceAll(/^\/+|\/+$/g, '').replaceAll(/\/{2,}/g, '/')}`;
  const digits = (n: number, count: number): string => String(n).padStart(count, '0');
  const slots = (partition: Partition): string => `${root}/log/${partition}/`;
  const blobs = (store: string): string => `${root}/${store}/`;
  // A blob's key may contain slashes, but no NUL: pieces of one are never among those of another.
  const pieces = (store: string, key: string): string => `${blobs(store)}${key}\u0000`;
  const range = (from: string): { from: string; end: string } => ({ from, end: after(from) });
  return {
    format: `${root}/format`,
    slot: (partition, slot) => `${slots(partition)}${digits(slot, slotDigits)}`,
    head: (partition) => `${root}/head/${partition}`,
    floor: (partition) => `${root}/floor/${partition}`,
    slotsEnd: (partition) => after(slots(partition)),
    slotOf: (key) => Number(key.slice(-slotDigits)),
    blob: (store, key, piece) => `${pieces(store, key)}${digits(piece, 6)}`,
    blobPieces: (store, key) => range(pieces(store, key)),
    blobs: (store, prefix_) => range(`${blobs(store)}${prefix_}`),
    blobKeyOf: (store, key) => key.slice(blobs(store).length).replace(/\u0000\d{6}$/, ''),
    destroyed: (store, key) => `${root}/destroyed/${store}/${key}`,
    all: range(`${root}/`),
  };
}

/** The end of the range of all keys that begin with `from`. Ours are ASCII: the last byte can be raised. */
const after = (from: string): string =>
  from.slice(0, -1) + String.fromCharCode(from.charCodeAt(from.length - 1) + 1);

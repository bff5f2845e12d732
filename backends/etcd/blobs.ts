import { refuseLargeReplacement } from '../../src/log/slot-driver.ts';
import type { BlobStore } from '../../src/log/slot-driver.ts';
import type { BlobStoreName } from './keys.ts';
import { type Blob, firstPieceOf, piecesOf, putLaterPieces, wholeOf } from './pieces.ts';
import { pagesFrom, readRange } from './ranges.ts';
import { settled } from './settling.ts';
import { freeing, type Store } from './store.ts';
import {
  absent,
  deleteRange,
  type Found,
  get,
  getRange,
  look,
  oneOf,
  put,
  readAll,
  unchanged,
  write,
} from './transactions.ts';

/**
 * Blobs in pieces that etcd takes. One that was destroyed leaves a key of its own, `destroyed/<store>/<key>`,
 * which every write requires to be absent: so it stays destroyed even if a process of the previous release
 * puts it again blindly.
 */
export function blobStore(store: Store, name: BlobStoreName): BlobStore {
  const { keys, peers } = store;
  const at = (key: string): Blob => ({
    first: keys.blob(name, key, 0),
    pieces: keys.blobPieces(name, key),
    tombstone: keys.destroyed(name, key),
    piece: (n) => keys.blob(name, key, n),
  });
  return {
    create: (key, value) =>
      settled(
        () => createBlob(store, at(key), value),
        () => createdAs(store, at(key), value),
      ),
    replace: async (key, from, to) => {
      refuseLargeReplacement(from, to);
      return settled(
        () => replaceBlob(store, at(key), { from, to, secret: name === 'vault' }),
        async () => (isFirst(await firstOf(store, at(key)), to) ? 'replaced' : undefined),
      );
    },
    get: (key) => readBlob(store, at(key)),
    destroy: async (key) => {
      await settled(
        () => destroyBlob(store, at(key)),
        () => isDestroyed(store, at(key)),
      );
    },
    remove: async (key) => {
      await settled(
        () => removeBlob(store, at(key)),
        async () => ((await piecesFound(store, at(key))).length === 0 ? true : undefined),
      );
    },
    list: async (prefix) => {
      const { from, end } = keys.blobs(name, prefix);
      const names: string[] = [];
      for await (const { key } of readRange(peers, { from, end, keysOnly: true })) {
        const found = keys.blobKeyOf(name, key);
        // Later pieces alone are the rest of one that was never complete.
        if (key === keys.blob(name, found, 0)) names.push(found);
      }
      return names.sort();
    },
  };
}

type Created = 'created' | 'exists' | 'destroyed';

/** The first piece is put last: it makes the blob, or not. */
async function createBlob(store: Store, blob: Blob, value: Uint8Array): Promise<Created | undefined> {
  const [first = Buffer.alloc(0), ...later] = piecesOf(value);
  if (later.length > 0) {
    const there = await createdAs(store, blob, value);
    if (there !== undefined) return there;
  }
  const laterAsPut = await putLaterPieces(store, blob, later);
  if (laterAsPut === undefined) return undefined;
  const { succeeded } = await write(store.peers, {
    compare: [absent(blob.tombstone), absent(blob.first), ...laterAsPut],
    success: [put(blob.first, first)],
  });
  if (!succeeded) return createdAs(store, blob, value);
  store.wrote();
  return 'created';
}

/** The result of a creation in the current state; undefined when nothing is there. */
async function createdAs(store: Store, blob: Blob, value: Uint8Array): Promise<Created | undefined> {
  const answer = await readAll(store.peers, [look(blob.tombstone), look(blob.first)]);
  if (oneOf(answer, 0)) return 'destroyed';
  if (!oneOf(answer, 1)) return undefined;
  const stored = await readBlob(store, blob);
  return stored && Buffer.from(stored).equals(value) ? 'created' : 'exists';
}

async function replaceBlob(
  { peers, wrote, freed }: Store,
  blob: Blob,
  { from, to, secret }: { from: Uint8Array; to: Uint8Array; secret: boolean },
): Promise<'replaced' | 'changed' | undefined> {
  const found = await firstOf({ peers }, blob);
  if (isFirst(found, to)) return 'replaced';
  if (!isFirst(found, from)) return 'changed';
  const replacing = (): ReturnType<typeof write> =>
    write(peers, {
      compare: [absent(blob.tombstone), unchanged(blob.first, found)],
      success: [put(blob.first, firstPieceOf(to))],
    });
  // A value replaced in the vault must not stay readable by its revision.
  const { succeeded } = await (secret ? freeing(freed, replacing) : replacing());
  if (!succeeded) return undefined;
  wrote();
  return 'replaced';
}

/** The first piece, of one that was not destroyed. */
async function firstOf(
  { peers }: Pick<Store, 'peers'>,
  { tombstone, first }: Blob,
): Promise<Found | undefined> {
  const answer = await readAll(peers, [look(tombstone), get(first)]);
  return oneOf(answer, 0) ? undefined : oneOf(answer, 1);
}

/** Whether this is the first and only piece of `value`. */
const isFirst = (found: Found | undefined, value: Uint8Array): boolean =>
  found?.value.equals(firstPieceOf(value)) === true;

/**
 * All pieces as of one revision, so that a value created again in the meantime is not mixed with the old one.
 */
async function readBlob({ peers }: Store, { tombstone, pieces }: Blob): Promise<Uint8Array | undefined> {
  const found: Buffer[] = [];
  let revision: string | undefined;
  const pages = pagesFrom(pieces.from, 3, async (from, limit) => {
    const range = getRange({ from, end: pieces.end, limit, ...(revision && { revision }) });
    const answer = await readAll(peers, revision === undefined ? [range, look(tombstone)] : [range]);
    revision ??= answer.revision;
    const destroyed = oneOf(answer, 1) !== undefined;
    return { ...(answer.pages[0] ?? { found: [], more: false }), destroyed };
  });
  for await (const page of pages) {
    if (page.destroyed) return undefined;
    for (const { value } of page.found) found.push(value);
  }
  return wholeOf(found);
}

/** A tombstone never goes: a deletion that arrives late has nothing to delete. */
async function destroyBlob({ peers, freed }: Store, { tombstone, pieces }: Blob): Promise<true> {
  await freeing(freed, () =>
    write(peers, {
      compare: [absent(tombstone)],
      success: [put(tombstone, ''), deleteRange(pieces)],
      failure: [deleteRange(pieces)],
    }),
  );
  return true;
}

async function isDestroyed({ peers }: Store, { tombstone, pieces }: Blob): Promise<true | undefined> {
  const answer = await readAll(peers, [look(tombstone), getRange({ ...pieces, limit: 1, keysOnly: true })]);
  return oneOf(answer, 0) && !oneOf(answer, 1) ? true : undefined;
}

/** Only what existed when it was checked: never what is created again later. */
async function removeBlob(store: Store, blob: Blob): Promise<true | undefined> {
  const found = await piecesFound(store, blob);
  if (found.length === 0) return true;
  const first = found.find(({ key }) => key === blob.first);
  const { succeeded } = await freeing(store.freed, () =>
    write(store.peers, { compare: [unchanged(blob.first, first)], success: [deleteRange(blob.pieces)] }),
  );
  return succeeded ? true : undefined;
}

async function piecesFound({ peers }: Store, { pieces }: Blob): Promise<readonly Found[]> {
  const { pages } = await readAll(peers, [getRange({ ...pieces, limit: 1, keysOnly: true })]);
  return pages[0]?.found ?? [];
}

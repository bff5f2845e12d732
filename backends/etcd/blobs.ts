import type { BlobStore } from '../../src/log/slot-driver.ts';
import { deleteRange, type Freed } from './deletion.ts';
import type { Keys } from './keys.ts';
import { maxBatchBytes } from './options.ts';
import type { Peers } from './peers.ts';
import { readRange } from './ranges.ts';

/** Blobs in pieces that etcd takes; the first piece tells how many there are, so that half a blob is none. */
export function blobStore(peers: Peers, keys: Keys, store: 'vault' | 'snapshots', freed: Freed): BlobStore {
  return {
    put: async (key, value) => {
      const pieces = piecesOf(value);
      // Later pieces first: whoever reads the new first piece finds the others. Putting again is harmless.
      for (let piece = pieces.length - 1; piece >= 0; piece--)
        await peers.call((client, o) =>
          client.kv.put(
            { key: Buffer.from(keys.blob(store, key, piece)), value: pieces[piece] ?? Buffer.alloc(0) },
            o,
          ),
        );
      const rest = { from: keys.blob(store, key, pieces.length), end: keys.blobPieces(store, key).end };
      for await (const { key: left } of readRange(peers, { ...rest, keysOnly: true })) {
        await deleteRange(peers, { ...rest, from: left }, freed);
        break;
      }
    },
    get: async (key) => {
      const { from, end } = keys.blobPieces(store, key);
      const found: Buffer[] = [];
      for await (const { value } of readRange(peers, { from, end })) found.push(value);
      const [first] = found;
      if (first === undefined) return undefined;
      const count = first.readUInt32BE(0);
      if (found.length < count) return undefined;
      return Buffer.concat([first.subarray(4), ...found.slice(1, count)]);
    },
    delete: (key) => deleteRange(peers, keys.blobPieces(store, key), freed),
    list: async (prefix) => {
      const { from, end } = keys.blobs(store, prefix);
      const names = new Set<string>();
      for await (const { key } of readRange(peers, { from, end, keysOnly: true }))
        names.add(keys.blobKeyOf(store, key));
      return [...names].sort();
    },
  };
}

/** u32 BE: how many pieces; then the value. */
function piecesOf(value: Uint8Array): Buffer[] {
  const all = Buffer.concat([Buffer.alloc(4), value]);
  const count = Math.max(1, Math.ceil(all.length / maxBatchBytes));
  all.writeUInt32BE(count, 0);
  return Array.from({ length: count }, (_, i) => all.subarray(i * maxBatchBytes, (i + 1) * maxBatchBytes));
}

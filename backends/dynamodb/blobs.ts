import { BatchWriteItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { CodedError } from '../../src/base/errors.ts';
import type { BlobStore } from '../../src/log/slot-driver.ts';
import { attributes } from './items.ts';
import { maxBatchBytes } from './options.ts';
import { itemsFrom } from './slots.ts';
import type { TableAccess } from './table-access.ts';

/** Items of one batch request. */
const most = 25;
const lastPiece = '\u0000~';

/** Blobs in pieces; the first piece tells how many there are, so that half a blob is none. */
export function blobStore(table: TableAccess, store: 'vault' | 'snapshots'): BlobStore {
  const sort = (key: string, piece: number): string => `${key}\u0000${String(piece).padStart(6, '0')}`;
  const remove = async (key: string, from: number): Promise<void> => {
    const found: string[] = [];
    for await (const item of itemsFrom(table, store, sort(key, from), {
      keysOnly: true,
      to: `${key}${lastPiece}`,
    }))
      found.push(item.sort);
    await deleteItems(table, store, found);
  };
  return {
    put: async (key, value) => {
      const pieces = piecesOf(value);
      // Later pieces first: whoever reads the new first piece finds the others. Putting again is harmless.
      for (let piece = pieces.length - 1; piece >= 0; piece--) {
        const answer = await table.read(() =>
          table.client.send(
            new PutItemCommand({
              TableName: table.tableName,
              ReturnConsumedCapacity: 'TOTAL',
              Item: {
                [attributes.partition]: { S: store },
                [attributes.sort]: { S: sort(key, piece) },
                [attributes.value]: { B: pieces[piece] ?? Buffer.alloc(0) },
              },
            }),
          ),
        );
        table.count(answer.ConsumedCapacity, 'write');
      }
      if (pieces.length > 0) await remove(key, pieces.length);
    },
    get: async (key) => {
      const found: Uint8Array[] = [];
      for await (const { value } of itemsFrom(table, store, sort(key, 0), { to: `${key}${lastPiece}` }))
        found.push(value ?? new Uint8Array());
      const [first] = found;
      if (first === undefined) return undefined;
      const count = Buffer.from(first).readUInt32BE(0);
      return found.length < count ? undefined : Buffer.concat([first.subarray(4), ...found.slice(1, count)]);
    },
    delete: (key) => remove(key, 0),
    list: async (prefix) => {
      const names = new Set<string>();
      const range = prefix === '' ? {} : { to: `${prefix}\uffff` };
      for await (const item of itemsFrom(table, store, prefix === '' ? '\u0000' : prefix, {
        keysOnly: true,
        ...range,
      }))
        names.add(item.sort.replace(/\u0000\d{6}$/, ''));
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

/** What a batch request leaves undone, because it was throttled, is asked again after a pause. */
export async function deleteItems(
  table: TableAccess,
  partition: string,
  sorts: readonly string[],
): Promise<void> {
  let left = sorts.map((sort) => ({
    DeleteRequest: { Key: { [attributes.partition]: { S: partition }, [attributes.sort]: { S: sort } } },
  }));
  const waiting = table.requests.patience();
  try {
    while (left.length > 0) {
      const now = left.slice(0, most);
      const answer = await table.read(() =>
        table.client.send(
          new BatchWriteItemCommand({
            RequestItems: { [table.tableName]: now },
            ReturnConsumedCapacity: 'TOTAL',
          }),
        ),
      );
      for (const units of answer.ConsumedCapacity ?? []) table.count(units, 'write');
      const undone = (answer.UnprocessedItems?.[table.tableName] ?? []) as typeof left;
      left = [...undone, ...left.slice(most)];
      if (undone.length < now.length) waiting.progress();
      if (undone.length === 0) continue;
      table.requests.throttledInPart();
      await waiting.wait(
        true,
        (tried) =>
          new CodedError('unavailable', `DynamoDB throttles us (table ${table.tableName}): ${tried}`),
      );
    }
  } finally {
    waiting.over();
  }
}

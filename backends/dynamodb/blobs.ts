import { DeleteItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { hash } from 'node:crypto';
import { CodedError, isCoded, messageOf } from '../../src/base/errors.ts';
import { refuseLargeReplacement } from '../../src/log/slot-driver.ts';
import type { BlobStore } from '../../src/log/slot-driver.ts';
import { afterWriting } from './after-writing.ts';
import { type BlobStores, endOf, piecesOf, readBlob, sortOfPiece, tombstoneValue } from './blob-pieces.ts';
import { deleteItems } from './deleting.ts';
import { attributes, itemKey } from './items.ts';
import { type Item, itemsFrom } from './pages.ts';
import { conditionFailed, type TableAccess } from './table-access.ts';

interface Condition {
  readonly text: string;
  readonly names: Record<string, string>;
  readonly values?: Record<string, { B: Uint8Array }>;
}

const isFree: Condition = { text: 'attribute_not_exists(#p)', names: { '#p': attributes.partition } };

/** Values in pieces. Every write is conditional, so that one that arrives late changes nothing. */
export function blobStore(table: TableAccess, store: BlobStores): BlobStore {
  const read = (key: string) => readBlob(table, store, key);
  const keysOf = async (key: string, from: number): Promise<Item[]> => {
    const found: Item[] = [];
    const range = { keysOnly: true, to: endOf(key) };
    for await (const item of itemsFrom(table, store, sortOfPiece(key, from), range)) found.push(item);
    return found;
  };
  const drop = (items: readonly Item[]): Promise<void> =>
    deleteItems(
      table,
      store,
      items.map(({ sort }) => sort),
    );
  const putPiece = async (
    { key, piece, value, content }: { key: string; piece: number; value: Uint8Array; content: Uint8Array },
    condition: Condition,
    once: boolean,
  ): Promise<void> => {
    const put = new PutItemCommand({
      TableName: table.tableName,
      ReturnConsumedCapacity: 'TOTAL',
      ConditionExpression: condition.text,
      ExpressionAttributeNames: condition.names,
      ...(condition.values && { ExpressionAttributeValues: condition.values }),
      Item: {
        ...itemKey(store, sortOfPiece(key, piece)),
        [attributes.value]: { B: value },
        [attributes.content]: { B: content },
      },
    });
    const send = () => table.client.send(put);
    const answer = await (once
      ? table.writeOnce(send, [conditionFailed])
      : table.write(send, [conditionFailed]));
    table.count(answer.ConsumedCapacity, 'write');
  };
  return {
    create: async (key, value) => {
      const content = hash('sha256', value, 'buffer');
      const [first = Buffer.alloc(0), ...later] = piecesOf(value);
      /** Undefined: the key is free, or an incomplete value was removed from it. */
      const look = async () => {
        const stored = await read(key);
        if (stored.status === 'whole') return stored.value.equals(value) ? 'created' : 'exists';
        const left = stored.pieces.filter((one) => one.content === undefined || !content.equals(one.content));
        if (stored.status === 'destroyed') {
          await drop(stored.pieces);
          return 'destroyed';
        }
        if (stored.status === 'torn') await deleteFirst(table, store, stored.first);
        await drop(left);
        return undefined;
      };
      // Nothing is written beside an existing value.
      const known = later.length === 0 ? undefined : await look();
      if (known !== undefined) return known;
      const isOurs: Condition = {
        text: `${isFree.text} OR #c = :c`,
        names: { ...isFree.names, '#c': attributes.content },
        values: { ':c': { B: content } },
      };
      return settled(table, {
        write: async () => {
          // Later pieces first, so that a reader of the first piece finds the others.
          for (let i = later.length - 1; i >= 0; i--)
            await putPiece({ key, piece: i + 1, value: later[i] ?? first, content }, isOurs, false);
          await putPiece({ key, piece: 0, value: first, content }, isFree, true);
          return 'created' as const;
        },
        look,
      });
    },
    replace: async (key, from, to) => {
      refuseLargeReplacement(from, to);
      const [before = Buffer.alloc(0)] = piecesOf(from);
      const [value = Buffer.alloc(0)] = piecesOf(to);
      const isFrom: Condition = {
        text: '#b = :old',
        names: { '#b': attributes.value },
        values: { ':old': { B: before } },
      };
      return settled(table, {
        write: async () => {
          await putPiece({ key, piece: 0, value, content: hash('sha256', to, 'buffer') }, isFrom, true);
          return 'replaced' as const;
        },
        look: async () => {
          const stored = await read(key);
          if (stored.status !== 'whole') return 'changed';
          if (stored.value.equals(to)) return 'replaced';
          return stored.value.equals(from) ? undefined : 'changed';
        },
      });
    },
    get: async (key) => {
      const stored = await read(key);
      return stored.status === 'whole' ? stored.value : undefined;
    },
    destroy: async (key) => {
      const put = new PutItemCommand({
        TableName: table.tableName,
        ReturnConsumedCapacity: 'TOTAL',
        Item: {
          ...itemKey(store, sortOfPiece(key, 0)),
          [attributes.value]: { B: tombstoneValue },
          [attributes.tombstone]: { N: '1' },
        },
      });
      // Without a condition: late or repeated, the value is still destroyed.
      const answer = await table.write(() => table.client.send(put));
      table.count(answer.ConsumedCapacity, 'write');
      await afterWriting(async () => drop(await keysOf(key, 1)));
    },
    remove: async (key) => {
      for (;;) {
        const pieces = await keysOf(key, 0);
        const first = pieces.find(({ sort }) => sort === sortOfPiece(key, 0));
        if (first?.isTombstone === true) return;
        // The first piece first, so that the rest does not count as a value. If it was changed in between,
        // that is removed.
        if (first !== undefined && !(await deleteFirst(table, store, first))) continue;
        return afterWriting(() => drop(pieces.filter((one) => one !== first)));
      }
    },
    list: async (prefix) => {
      const names = new Map<string, boolean>();
      const range = prefix === '' ? {} : { to: `${prefix}\uffff` };
      for await (const item of itemsFrom(table, store, prefix === '' ? '\u0000' : prefix, {
        keysOnly: true,
        ...range,
      })) {
        const name = item.sort.replace(/\u0000\d{6}$/, '');
        names.set(name, (names.get(name) ?? false) || item.isTombstone);
      }
      return [...names].flatMap(([name, isDestroyed]) => (isDestroyed ? [] : [name])).sort();
    },
  };
}

/** False when it has changed in the meantime, or is a tombstone, or gone. */
async function deleteFirst(
  table: TableAccess,
  store: BlobStores,
  { sort, content }: Pick<Item, 'sort' | 'content'>,
): Promise<boolean> {
  const erase = new DeleteItemCommand({
    TableName: table.tableName,
    ReturnConsumedCapacity: 'TOTAL',
    Key: itemKey(store, sort),
    ...(content === undefined
      ? {
          ConditionExpression: 'attribute_not_exists(#c) AND attribute_not_exists(#x)',
          ExpressionAttributeNames: { '#c': attributes.content, '#x': attributes.tombstone },
        }
      : {
          ConditionExpression: '#c = :c',
          ExpressionAttributeNames: { '#c': attributes.content },
          ExpressionAttributeValues: { ':c': { B: content } },
        }),
  });
  try {
    const answer = await table.write(() => table.client.send(erase), [conditionFailed]);
    table.count(answer.ConsumedCapacity, 'write');
    return true;
  } catch (e) {
    if ((e as Error).name !== conditionFailed) throw e;
    return false;
  }
}

/**
 * Writes under a condition. When that failed, or the reply was lost, `look` finds the outcome; undefined:
 * nothing is there that would prevent the write, so it is sent again.
 * @throws CodedError `ambiguous` when a reply was lost and the outcome could not be seen.
 */
async function settled<T>(
  table: TableAccess,
  { write, look }: { readonly write: () => Promise<T>; readonly look: () => Promise<T | undefined> },
): Promise<T> {
  const waiting = table.requests.patience();
  let lost = false;
  try {
    for (;;) {
      try {
        return await write();
      } catch (e) {
        if (!isCoded(e, 'ambiguous') && (e as Error).name !== conditionFailed) throw e;
        lost ||= isCoded(e, 'ambiguous');
      }
      const outcome = await look();
      if (outcome !== undefined) return outcome;
      await waiting.wait(
        false,
        (tried) => new CodedError('unavailable', `a value was not written: ${tried}`),
      );
    }
  } catch (e) {
    if (!lost || !isCoded(e)) throw e;
    throw new CodedError('ambiguous', `whether a value was written is not known: ${messageOf(e)}`, {
      cause: e,
    });
  } finally {
    waiting.over();
  }
}

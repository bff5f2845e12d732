import { type AttributeValue, QueryCommand } from '@aws-sdk/client-dynamodb';
import { isCoded } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';
import type { StoredSlot } from '../../src/log/slot-driver.ts';
import { attributes, sortOfSlot, stripesOf, unpack } from './items.ts';
import { type Lanes, mergeLanes } from './lanes.ts';
import type { TableAccess } from './table-access.ts';
import { trimmedBefore } from './trimming.ts';

interface Item {
  readonly sort: string;
  readonly value: Uint8Array | undefined;
}

export interface ItemRange {
  readonly from: string;
  /** Belongs to the range as well. Default: to the end. */
  readonly to?: string;
}

interface PageOptions {
  readonly keysOnly?: boolean;
  /** Most items of one page; a page ends at 1 MB in any case. */
  readonly limit?: number;
}

interface Page {
  readonly items: readonly Item[];
  /** Where the next page begins; undefined after the last one. */
  readonly next: Record<string, AttributeValue> | undefined;
}

/** One consistent page of one hash key, in order. */
async function pageOf(
  table: TableAccess,
  partition: string,
  { from, to }: ItemRange,
  { keysOnly = false, limit }: PageOptions,
  start?: Page['next'],
): Promise<Page> {
  const answer = await table.read(() =>
    table.client.send(
      new QueryCommand({
        TableName: table.tableName,
        ConsistentRead: true,
        ReturnConsumedCapacity: 'TOTAL',
        KeyConditionExpression:
          to === undefined ? '#p = :p AND #s >= :s' : '#p = :p AND #s BETWEEN :s AND :t',
        ExpressionAttributeNames: { '#p': attributes.partition, '#s': attributes.sort },
        ExpressionAttributeValues: {
          ':p': { S: partition },
          ':s': { S: from },
          ...(to === undefined ? {} : { ':t': { S: to } }),
        },
        ...(keysOnly && { ProjectionExpression: '#p, #s' }),
        ...(limit !== undefined && { Limit: limit }),
        ...(start && { ExclusiveStartKey: start }),
      }),
    ),
  );
  table.count(answer.ConsumedCapacity, 'read');
  const items = (answer.Items ?? []).map((item) => ({
    sort: item[attributes.sort]?.S ?? '',
    value: item[attributes.value]?.B,
  }));
  return { items, next: answer.LastEvaluatedKey };
}

/** Items of one hash key from `from` on, consistent, in order, all pages. */
export async function* itemsFrom(
  table: TableAccess,
  partition: string,
  from: string,
  { to, ...options }: PageOptions & { readonly to?: string } = {},
): AsyncGenerator<Item> {
  let start: Page['next'];
  do {
    const page: Page = await pageOf(
      table,
      partition,
      { from, ...(to !== undefined && { to }) },
      options,
      start,
    );
    yield* page.items;
    start = page.next;
  } while (start !== undefined);
}

/** Slots from `from` on, in order, also of a partition that is spread over several hash keys. */
export async function* slotsFrom(
  table: TableAccess,
  partition: Partition,
  from: number,
): AsyncGenerator<StoredSlot> {
  const stripes = stripesOf(partition);
  const lanes: Lanes = {
    count: stripes.length,
    page: async (lane, first, limit) => {
      const { items, next } = await pageOf(
        table,
        stripes[lane] ?? '',
        { from: sortOfSlot(first) },
        { limit },
      );
      return {
        slots: items.map(({ sort, value }) => ({ slot: Number(sort), batch: value ?? new Uint8Array() })),
        more: next !== undefined,
      };
    },
    trimmedBefore: () => trimmedBefore(table, partition),
  };
  for await (const { slot, batch } of mergeLanes(lanes, from))
    yield { slot, batch: await unpackOrRaw(batch) };
}

/** What does not unpack goes on as it lies: the log finds that it is no batch, and names the slot. */
async function unpackOrRaw(stored: Uint8Array): Promise<Uint8Array> {
  try {
    return await unpack(stored);
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    return stored;
  }
}

import { type AttributeValue, QueryCommand } from '@aws-sdk/client-dynamodb';
import { attributes } from './items.ts';
import type { TableAccess } from './table-access.ts';

export interface Item {
  readonly sort: string;
  readonly value: Uint8Array | undefined;
  readonly content: Uint8Array | undefined;
  readonly isTombstone: boolean;
}

export interface ItemRange {
  readonly from: string;
  /** Belongs to the range as well. Default: to the end. */
  readonly to?: string;
}

interface PageOptions {
  /** Without the value. */
  readonly keysOnly?: boolean;
  /** Most items of one page; a page ends at 1 MB in any case. */
  readonly limit?: number;
  /** The last ones first. */
  readonly descending?: boolean;
}

interface Page {
  readonly items: readonly Item[];
  /** Where the next page begins; undefined after the last one. */
  readonly next: Record<string, AttributeValue> | undefined;
}

const { partition: p, sort: s, value, content, tombstone } = attributes;

/** One consistent page of one hash key, in order. */
export async function pageOf(
  table: TableAccess,
  partition: string,
  { from, to }: ItemRange,
  { keysOnly = false, limit, descending = false }: PageOptions,
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
        ExpressionAttributeNames: {
          '#p': p,
          '#s': s,
          ...(keysOnly && { '#c': content, '#x': tombstone }),
        },
        ExpressionAttributeValues: {
          ':p': { S: partition },
          ':s': { S: from },
          ...(to === undefined ? {} : { ':t': { S: to } }),
        },
        ...(keysOnly && { ProjectionExpression: '#p, #s, #c, #x' }),
        ...(limit !== undefined && { Limit: limit }),
        ...(descending && { ScanIndexForward: false }),
        ...(start && { ExclusiveStartKey: start }),
      }),
    ),
  );
  table.count(answer.ConsumedCapacity, 'read');
  const items = (answer.Items ?? []).map((item) => ({
    sort: item[s]?.S ?? '',
    value: item[value]?.B,
    content: item[content]?.B,
    isTombstone: item[tombstone] !== undefined,
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

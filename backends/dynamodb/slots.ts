import { type DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import type { Partition } from '../../src/log/event.ts';
import type { StoredSlot } from '../../src/log/slot-driver.ts';
import { attributes, sortOfSlot, stripesOf, unpack } from './items.ts';

export interface TableAccess {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  /** For what changes nothing. */
  read<T>(act: () => Promise<T>): Promise<T>;
  count(units: { readonly CapacityUnits?: number | undefined } | undefined, kind: 'read' | 'write'): void;
}

interface Item {
  readonly sort: string;
  readonly value: Uint8Array | undefined;
}

/** Items of one hash key from `from` on, consistent, in order, all pages. */
export async function* itemsFrom(
  table: TableAccess,
  partition: string,
  from: string,
  options: { readonly keysOnly?: boolean; readonly to?: string } = {},
): AsyncGenerator<Item> {
  const { keysOnly = false, to } = options;
  let start: Record<string, never> | undefined;
  do {
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
          ...(start && { ExclusiveStartKey: start }),
        }),
      ),
    );
    table.count(answer.ConsumedCapacity, 'read');
    for (const item of answer.Items ?? [])
      yield { sort: item[attributes.sort]?.S ?? '', value: item[attributes.value]?.B };
    start = answer.LastEvaluatedKey as Record<string, never> | undefined;
  } while (start !== undefined);
}

/**
 * Slots from `from` on, in order. Those of a partition that is spread over several hash keys are read side by side. A key
 * that was read a moment before the others may lack a slot that has a successor elsewhere: it is there when that one is,
 * so the keys are read anew from there.
 */
export async function* slotsFrom(
  table: TableAccess,
  partition: Partition,
  from: number,
): AsyncGenerator<StoredSlot> {
  let next = from;
  let first = true;
  let readAnew = -1;
  for (;;) {
    let gap = false;
    for await (const found of merged(stripesOf(partition).map((one) => stripe(table, one, next)))) {
      if (!first && found.slot !== next && readAnew !== next) {
        gap = true;
        break;
      }
      first = false;
      next = found.slot + 1;
      yield found;
    }
    if (!gap) return;
    readAnew = next;
  }
}

async function* stripe(table: TableAccess, name: string, from: number): AsyncGenerator<StoredSlot> {
  for await (const { sort, value } of itemsFrom(table, name, sortOfSlot(from)))
    yield { slot: Number(sort), batch: await unpack(value) };
}

/** Several ordered sequences as one. */
async function* merged(sources: readonly AsyncGenerator<StoredSlot>[]): AsyncGenerator<StoredSlot> {
  const heads = await Promise.all(sources.map(async (source) => ({ source, head: await source.next() })));
  try {
    for (;;) {
      const open = heads.filter((one) => one.head.done !== true);
      const least = open.reduce<(typeof heads)[number] | undefined>(
        (best, one) =>
          best === undefined || (one.head.value as StoredSlot).slot < (best.head.value as StoredSlot).slot
            ? one
            : best,
        undefined,
      );
      if (least === undefined) return;
      yield least.head.value as StoredSlot;
      least.head = await least.source.next();
    }
  } finally {
    for (const { source } of heads) await source.return(undefined);
  }
}

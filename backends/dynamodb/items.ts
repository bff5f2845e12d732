import type { Partition } from '../../src/log/event.ts';

/** Names of attributes are paid for: they are short. */
export const attributes = {
  partition: 'p',
  sort: 's',
  value: 'b',
  /** Of a slot: own hash of its batch. Missing in those of the previous release. */
  hash: 'h',
  /** Of a slot: random bytes, by which its writer distinguishes its item from one that was put again. */
  put: 'u',
  /** Of each piece of a blob: SHA-256 of the whole. Missing in those of the previous release. */
  content: 'c',
  /** Of a blob's first piece: it was destroyed. */
  tombstone: 'x',
} as const;

export type ItemKey = Record<string, { S: string }>;

export const itemKey = (partition: string, sort: string): ItemKey => ({
  [attributes.partition]: { S: partition },
  [attributes.sort]: { S: sort },
});

/**
 * One hash key takes 1,000 write units a second: audit, which grows fastest, is spread over several by its
 * slot.
 */
const stripes: Readonly<Record<Partition, number>> = { state: 1, attempts: 1, presence: 1, audit: 4 };

export const stripesOf = (partition: Partition): readonly string[] =>
  stripes[partition] === 1
    ? [`log/${partition}`]
    : Array.from({ length: stripes[partition] }, (_, i) => `log/${partition}-${i}`);

/** Where a slot is. */
export const stripeOf = (partition: Partition, slot: number): string =>
  stripesOf(partition)[slot % stripes[partition]] ?? '';

export const sortOfSlot = (slot: number): string => String(slot).padStart(20, '0');

export const slotKey = (partition: Partition, slot: number): ItemKey =>
  itemKey(stripeOf(partition, slot), sortOfSlot(slot));

import { describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { type Batch } from './batch.ts';
import { noHash } from './own-hash.ts';
import type { Recorded, StreamName } from './event.ts';
import { PartitionFold } from './partition-fold.ts';
import { uuidV7 } from './uuid-v7.ts';

const event = (
  stream: StreamName,
  revision: number,
  position: number,
  at = '2026-01-01T00:00:00.000Z',
): Recorded => ({
  id: uuidV7(realWorld),
  stream,
  revision,
  position,
  cause: { at, actor: 'user:test', requestId: 'r1' },
  fact: { type: 'test.happened', data: {} },
});

const batch = (slot: number, previous: Buffer, events: Recorded[]): Batch => ({
  version: 1,
  partition: 'state',
  slot,
  firstPosition: events[0]?.position ?? 0,
  previous,
  id: uuidV7(realWorld),
  writer: 'w',
  hash: Buffer.alloc(32, slot),
  events,
  bytes: 100,
});

const first = batch(1, noHash, [event('a-1', 1, 1), event('b-1', 1, 2), event('a-1', 2, 3)]);

describe('folding batches', () => {
  it('knows the revision of each stream, where it lies, and the head of the chain', () => {
    const fold = new PartitionFold('state');
    fold.admit(first);
    fold.admit(batch(2, first.hash, [event('a-1', 3, 4)]));
    expect([
      fold.slot,
      fold.position,
      fold.revision('a-1'),
      fold.revision('b-1'),
      fold.revision('c-1'),
    ]).toEqual([2, 4, 3, 1, 0]);
    expect(fold.streams.get('a-1')).toEqual({ revision: 3, slots: [1], firstRevisions: [1] });
    expect(fold.hash).toEqual(Buffer.alloc(32, 2));
  });

  it.each([
    ['of another partition', { ...batch(2, first.hash, [event('a-1', 3, 4)]), partition: 'audit' as const }],
    ['that skips a slot', batch(3, first.hash, [event('a-1', 3, 4)])],
    ['that repeats a slot', batch(1, first.hash, [event('a-1', 3, 4)])],
    ['that does not follow the chain', batch(2, noHash, [event('a-1', 3, 4)])],
    ['that skips a position', batch(2, first.hash, [event('a-1', 3, 5)])],
    ['that repeats a revision', batch(2, first.hash, [event('a-1', 2, 4)])],
    ['that skips a revision', batch(2, first.hash, [event('a-1', 3, 4), event('a-1', 5, 5)])],
    ['in which time goes back', batch(2, first.hash, [event('a-1', 3, 4, '2025-12-31T00:00:00.000Z')])],
  ])('refuses a batch %s, and stays as it was', (_, wrong) => {
    const fold = new PartitionFold('state');
    fold.admit(first);
    expect(() => {
      fold.admit(wrong);
    }).toThrow(expect.objectContaining({ code: 'damaged' }));
    expect([fold.slot, fold.position, fold.revision('a-1')]).toEqual([1, 3, 2]);
    fold.admit(batch(2, first.hash, [event('a-1', 3, 4)]));
  });

  it('finds the slot before a position by signposts, also after it forgot the beginning', () => {
    const fold = new PartitionFold('state');
    let previous = noHash;
    for (let slot = 1; slot <= 200; slot++) {
      const next = batch(slot, previous, [
        event('a-1', 2 * slot - 1, 2 * slot - 1),
        event('a-1', 2 * slot, 2 * slot),
      ]);
      fold.admit(next);
      previous = next.hash;
    }
    expect([0, 127, 128, 129, 255, 256, 399].map((after) => fold.slotBefore(after))).toEqual([
      1, 1, 65, 65, 65, 129, 193,
    ]);
    fold.forgetBefore(130);
    expect(fold.signposts.map((one) => one.slot)).toEqual([129, 193]);
    // The entry of slot 129 stands for 16 slots, some of which are still there.
    expect(fold.streams.get('a-1')?.slots.slice(0, 2)).toEqual([129, 145]);
    expect(fold.revision('a-1')).toBe(400);
  });
});

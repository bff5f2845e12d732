import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeBatch } from '../../src/log/batch.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import type { Place, SlotDriver, StoredSlot } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { uuidV7 } from '../../src/log/uuid-v7.ts';
import { realWorld } from '../../src/base/world.ts';
import type { Trial } from './trial.ts';

const start: Place = { slot: 0, hash: noHash };

/** A batch that follows `after`; no two are the same. */
function batchAfter(after: Place, partition: Partition = 'state'): Buffer {
  const event = {
    id: uuidV7(realWorld),
    stream: 'a-1',
    type: 'trial.happened',
    actor: 'user:trial',
    requestId: 'r1',
    data: { n: randomBytes(4).readUInt32BE() },
    revision: after.slot + 1,
    at: '2026-01-01T00:00:00.000Z',
  };
  return encodeBatch(
    {
      partition,
      slot: after.slot + 1,
      firstPosition: after.slot + 1,
      previous: Buffer.from(after.hash),
      id: uuidV7(realWorld),
      writer: 'trial',
    },
    [JSON.stringify(event)],
  );
}

const placeOf = (slot: number, batch: Uint8Array): Place => ({ slot, hash: ownHash(batch) });

/** Appends `count` batches after `after`. Returns all places, `after` first. */
async function grow(
  driver: SlotDriver,
  after: Place,
  count: number,
  partition: Partition = 'state',
): Promise<Place[]> {
  const places = [after];
  for (let left = count; left > 0; left--) {
    const last = places.at(-1) ?? after;
    const batch = batchAfter(last, partition);
    expect(await driver.append(partition, last, batch)).toEqual({ status: 'committed' });
    places.push(placeOf(last.slot + 1, batch));
  }
  return places;
}

const at = (places: readonly Place[], index: number): Place => {
  const found = places.at(index);
  if (found === undefined) throw new Error('no such place');
  return found;
};

const slotsOf = (stored: readonly StoredSlot[]): number[] => stored.map((one) => one.slot);

/** The promises of each store by itself, without the log above it; see `src/log/slot-driver.ts`. */
export function describeDriver(trial: () => Trial): void {
  const both = async (): Promise<readonly [SlotDriver, SlotDriver]> => [
    await trial().driver(),
    await trial().driver(),
  ];

  describe('the driver: an append names what it follows', () => {
    it('is taken after the newest slot, and found there by everybody', async () => {
      const [one, other] = await both();
      for (const partition of ['state', 'presence', 'audit'] as const) {
        const places = await grow(one, start, 6, partition);
        expect(await other.bounds(partition)).toEqual({ floor: 1, head: 6 });
        const stored = await collect(other.read(partition, 1));
        expect(stored.map(({ slot, batch }) => placeOf(slot, batch))).toEqual(places.slice(1));
      }
    });

    it('names the slot that another has taken', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 3);
      const answer = await other.append('state', at(places, 1), batchAfter(at(places, 1)));
      expect(answer).toMatchObject({ status: 'taken' });
      expect((answer as { head: number }).head).toBeGreaterThanOrEqual(2);
      expect(await one.bounds('state')).toEqual({ floor: 1, head: 3 });
    });

    it('lets one of many win', async () => {
      const [one, other] = await both();
      const [, first = start] = await grow(one, start, 1);
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, n) => (n % 2 ? one : other).append('state', first, batchAfter(first))),
      );
      expect(answers.filter((each) => each.status === 'committed')).toHaveLength(1);
      expect(answers.filter((each) => each.status === 'taken')).toHaveLength(11);
    });

    it('is refused after a batch that the store does not hold, and nothing stays', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 3);
      const { slot } = at(places, 3);
      const stranger = { slot, hash: randomBytes(32) };
      expect(await other.append('state', stranger, batchAfter(stranger))).toEqual({
        status: 'predecessor changed',
      });
      const ahead = { slot: slot + 4, hash: randomBytes(32) };
      expect(await other.append('state', ahead, batchAfter(ahead))).toEqual({
        status: 'predecessor changed',
      });
      const first = { slot: 0, hash: randomBytes(32) };
      expect(['taken', 'predecessor changed']).toContain(
        (await other.append('state', first, batchAfter(first))).status,
      );
      expect(slotsOf(await collect(one.read('state', 1)))).toEqual([1, 2, 3]);
      expect(await one.bounds('state')).toEqual({ floor: 1, head: 3 });
      await grow(other, at(places, 3), 2);
    });

    it('is refused into an empty partition after anything but the beginning', async () => {
      const [one] = await both();
      const nothing = { slot: 3, hash: randomBytes(32) };
      expect(await one.append('state', nothing, batchAfter(nothing))).toEqual({
        status: 'predecessor changed',
      });
      expect(await one.bounds('state')).toEqual({ floor: 1, head: 0 });
    });
  });

  describe('the driver: trimming is a state', () => {
    it('raises the floor for everybody, and never lowers it', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 8, 'presence');
      await one.trim('presence', 5);
      expect(await other.bounds('presence')).toEqual({ floor: 5, head: 8 });
      await other.trim('presence', 3);
      expect(await one.bounds('presence')).toEqual({ floor: 5, head: 8 });
      expect(slotsOf(await collect(other.read('presence', 1)))).toEqual([5, 6, 7, 8]);
      expect(slotsOf(await collect(other.read('presence', 6)))).toEqual([6, 7, 8]);
      await grow(other, at(places, 8), 1, 'presence');
      expect(await one.bounds('state')).toEqual({ floor: 1, head: 0 });
    });

    it('refuses whoever slept over it: absence is no fence', async () => {
      const [one, sleeper] = await both();
      const places = await grow(one, start, 10, 'presence');
      await one.trim('presence', 7);
      const known = at(places, 3);
      expect(await sleeper.append('presence', known, batchAfter(known, 'presence'))).toEqual({
        status: 'below floor',
        floor: 7,
      });
      expect(slotsOf(await collect(one.read('presence', 1)))).toEqual([7, 8, 9, 10]);
    });

    it('is told from a slot that is missing', async () => {
      const [one] = await both();
      await grow(one, start, 6, 'presence');
      await one.trim('presence', 3);
      await trial().store.spoil('presence', 3, () => undefined);
      expect(await one.bounds('presence')).toEqual({ floor: 3, head: 6 });
      expect(slotsOf(await collect(one.read('presence', 1)))).toEqual([4, 5, 6]);
    });
  });

  describe('the driver: reading on from a known batch', () => {
    it('gives what follows it, or nothing', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 4);
      for (const { slot, hash } of places)
        expect(slotsOf(await collect(other.read('state', slot + 1, hash)))).toEqual(
          [1, 2, 3, 4].filter((each) => each > slot),
        );
    });

    it('begins at the floor when the known batch was given up', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 6, 'presence');
      await one.trim('presence', 5);
      expect(slotsOf(await collect(other.read('presence', 3, at(places, 2).hash)))).toEqual([5, 6]);
      expect(slotsOf(await collect(other.read('presence', 5, at(places, 4).hash)))).toEqual([5, 6]);
    });

    it('notices that the store holds another batch there, or none', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 4);
      const last = at(places, 4);
      const wrong = collect(other.read('state', last.slot + 1, randomBytes(32)));
      await expect(wrong).rejects.toMatchObject({ name: 'CodedError', code: 'unavailable', slot: 4 });
      await trial().store.spoil('state', 4, () => undefined);
      await expect(collect(other.read('state', 5, last.hash))).rejects.toMatchObject({
        code: 'unavailable',
        slot: 4,
      });
    });
  });

  describe('the driver: a store that is put back', () => {
    it('takes no append of a handle that knew more, whether others noticed or not', async () => {
      const [one, other] = await both();
      const places = await grow(one, start, 5);
      const putBack = await trial().store.save();
      const later = await grow(one, at(places, 5), 3);
      expect(slotsOf(await collect(other.read('state', 1)))).toHaveLength(8);
      await putBack();
      const known = at(later, 3);
      const refused = { status: 'predecessor changed' };
      expect(await one.append('state', known, batchAfter(known))).toEqual(refused);
      expect(await other.append('state', known, batchAfter(known))).toEqual(refused);
      await expect(collect(other.read('state', known.slot + 1, known.hash))).rejects.toMatchObject({
        code: 'unavailable',
        slot: known.slot,
      });
      expect(await one.bounds('state')).toEqual({ floor: 1, head: 5 });
      expect(slotsOf(await collect(one.read('state', 1)))).toEqual([1, 2, 3, 4, 5]);
      // A handle that knew no more than the store holds continues; then the one that knew more meets other
      // batches.
      await grow(other, at(places, 5), 4);
      const answer = await one.append('state', known, batchAfter(known));
      expect(['taken', 'predecessor changed']).toContain(answer.status);
      await expect(collect(one.read('state', known.slot + 1, known.hash))).rejects.toMatchObject({
        code: 'unavailable',
      });
    });
  });

  for (const name of ['vault', 'meta', 'snapshots'] as const)
    describe(`the driver: values in ${name}`, () => {
      const value = Buffer.from('a value');
      const another = Buffer.from('another value');

      it('are created once', async () => {
        const [one, other] = await both();
        expect(await one[name].get('k/1')).toBeUndefined();
        expect(await one[name].create('k/1', value)).toBe('created');
        expect(await other[name].create('k/1', value)).toBe('created');
        expect(await other[name].create('k/1', another)).toBe('exists');
        expect(Buffer.from((await other[name].get('k/1')) ?? [])).toEqual(value);
        expect(await one[name].create('k/empty', new Uint8Array())).toBe('created');
        expect(await other[name].get('k/empty')).toHaveLength(0);
      });

      it('are replaced only when they are what was read', async () => {
        const [one, other] = await both();
        expect(await one[name].replace('k/1', value, another)).toBe('changed');
        await one[name].create('k/1', value);
        expect(await other[name].replace('k/1', value, another)).toBe('replaced');
        expect(await one[name].replace('k/1', value, another)).toBe('replaced');
        expect(await one[name].replace('k/1', value, Buffer.from('third'))).toBe('changed');
        expect(Buffer.from((await one[name].get('k/1')) ?? [])).toEqual(another);
      });

      it('never come again once they were destroyed, whichever request arrives late', async () => {
        const [one, other] = await both();
        await one[name].create('k/1', value);
        await other[name].destroy('k/1');
        expect(await one[name].get('k/1')).toBeUndefined();
        expect(await one[name].create('k/1', value)).toBe('destroyed');
        expect(await one[name].replace('k/1', value, another)).toBe('changed');
        expect(await other[name].get('k/1')).toBeUndefined();
        expect(await one[name].list('')).toEqual([]);
        await one[name].destroy('k/1');
        // Its first request may still be on the way.
        await one[name].destroy('k/2');
        expect(await other[name].create('k/2', value)).toBe('destroyed');
        await one[name].remove('k/2');
        expect(await other[name].create('k/2', value)).toBe('destroyed');
      });

      it('can be removed and made again where that does no harm', async () => {
        const [one, other] = await both();
        await one[name].create('k/1', value);
        await other[name].remove('k/1');
        await other[name].remove('k/1');
        expect(await one[name].get('k/1')).toBeUndefined();
        expect(await one[name].create('k/1', another)).toBe('created');
      });

      it('are listed by prefix, each kind by itself', async () => {
        const [one] = await both();
        for (const key of ['b/2', 'a/1', 'b/1', 'bb']) await one[name].create(key, value);
        expect(await one[name].list('b/')).toEqual(['b/1', 'b/2']);
        expect(await one[name].list('')).toEqual(['a/1', 'b/1', 'b/2', 'bb']);
        const others = (['vault', 'meta', 'snapshots'] as const).filter((each) => each !== name);
        for (const each of others) expect(await one[each].list('')).toEqual([]);
      });

      it('can be large', async () => {
        const [one, other] = await both();
        const large = randomBytes(name === 'snapshots' ? 3_000_000 : 12_000);
        expect(await one[name].create('k/large', large)).toBe('created');
        expect(await other[name].create('k/large', large)).toBe('created');
        expect(Buffer.from((await other[name].get('k/large')) ?? []).equals(large)).toBe(true);
        await other[name].remove('k/large');
        expect(await one[name].get('k/large')).toBeUndefined();
      });
    });

  describe('the driver: replacing', () => {
    it('is for small values', async () => {
      const [one] = await both();
      const large = Buffer.alloc(17 * 1024);
      await expect(one.meta.replace('k', large, large)).rejects.toMatchObject({ code: 'limit_exceeded' });
    });
  });
}

import { describe, expect, it } from 'vitest';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import { collect } from '../../src/log/testing.ts';
import { appendSlot } from './appending.ts';
import { FakeEtcd } from './fake-etcd.ts';
import { loadSlots } from './loading.ts';
import { boundsOf } from './marks.ts';
import { slotsFrom } from './reading.ts';
import { recordFloors, trimSlots } from './trimming.ts';

const silent = '4 DEADLINE_EXCEEDED: Deadline exceeded';
const batch = Buffer.alloc(64, 'x');

/** Slots as a process of the previous release writes them: no floor, and a head without a hash. */
function oldLog(from: number, to: number): FakeEtcd {
  const etcd = new FakeEtcd();
  for (let slot = from; slot <= to; slot++) etcd.put(etcd.keys.slot('state', slot), batch);
  etcd.put(etcd.keys.head('state'), String(to));
  etcd.put(etcd.keys.slot('audit', 1), batch);
  return etcd;
}
const bounds = async (etcd: FakeEtcd): Promise<readonly [number, number]> => {
  const { floor, head } = await boundsOf(etcd.store, 'state');
  return [floor, head];
};
const slots = async (etcd: FakeEtcd, from = 1): Promise<number[]> =>
  (await collect(slotsFrom(etcd.store, 'state', from))).map(({ slot }) => slot);

describe('trimming', () => {
  it('raises the floor, then deletes from the oldest on, some at once, and frees each time', async () => {
    const etcd = oldLog(1, 4_500);
    await trimSlots(etcd.store, 'state', 4_500);
    expect(await slots(etcd)).toEqual([4_500]);
    expect(etcd.stored.has(etcd.keys.slot('audit', 1))).toBe(true);
    expect(await bounds(etcd)).toEqual([4_500, 4_500]);
    expect(etcd.freed).toHaveLength(3);
    await trimSlots(etcd.store, 'state', 4_500);
    await trimSlots(etcd.store, 'state', 9);
    expect(etcd.freed).toHaveLength(3);
    await trimSlots(etcd.store, 'state', 9_999);
    expect(await bounds(etcd)).toEqual([4_501, 4_500]);
  });

  it('that ended half way leaves slots below the floor, which nobody is given, for the next', async () => {
    const etcd = oldLog(1, 9);
    etcd.put(etcd.keys.floor('state'), '5');
    expect(await slots(etcd)).toEqual([5, 6, 7, 8, 9]);
    await trimSlots(etcd.store, 'state', 3);
    expect(etcd.stored.has(etcd.keys.slot('state', 4))).toBe(false);
    expect(await bounds(etcd)).toEqual([5, 9]);
  });

  it('survives lost answers, and a request that arrives late lowers nothing', async () => {
    const etcd = oldLog(1, 9);
    await recordFloors(etcd.store);
    etcd.fates.push(
      { carriedOut: 'later', says: silent },
      { carriedOut: 'now' },
      { carriedOut: 'later', says: silent },
    );
    await trimSlots(etcd.store, 'state', 4);
    await trimSlots(etcd.store, 'state', 6);
    etcd.arrive();
    expect(await bounds(etcd)).toEqual([6, 9]);
    expect(await slots(etcd)).toEqual([6, 7, 8, 9]);
  });

  it('under a reader ends its reading: what was given up is not missing', async () => {
    const etcd = oldLog(1, 100);
    const reading = slotsFrom(etcd.store, 'state', 1);
    await reading.next();
    await trimSlots(etcd.store, 'state', 50);
    await expect(collect(reading)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a log without a floor', () => {
  it('is known by its oldest slot, and records it once', async () => {
    const etcd = oldLog(4, 9);
    expect(await bounds(etcd)).toEqual([4, 9]);
    await recordFloors(etcd.store);
    expect([etcd.text(etcd.keys.floor('state')), etcd.text(etcd.keys.floor('presence'))]).toEqual(['4', '1']);
    etcd.delete(etcd.keys.slot('state', 4));
    const before = etcd.calls;
    await recordFloors(etcd.store);
    expect(etcd.calls).toBe(before + 1);
    expect(await bounds(etcd)).toEqual([4, 9]);
  });

  it('is opened though etcd is full', async () => {
    const etcd = oldLog(4, 9);
    etcd.fates.push({
      carriedOut: 'never',
      says: '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded',
    });
    await recordFloors(etcd.store);
    expect(await bounds(etcd)).toEqual([4, 9]);
  });

  it('has its newest slot found where a process that slept lowered the head', async () => {
    const etcd = oldLog(1, 9);
    etcd.put(etcd.keys.head('state'), '2');
    expect(await bounds(etcd)).toEqual([1, 9]);
  });
});

describe('reading on from a known batch', () => {
  it('is one call, also when there is nothing newer', async () => {
    const etcd = new FakeEtcd();
    etcd.put(etcd.keys.floor('state'), '1');
    const hash = ownHash(batch);
    await appendSlot(etcd.store, 'state', { slot: 0, hash: noHash }, batch);
    await appendSlot(etcd.store, 'state', { slot: 1, hash }, batch);
    for (const [from, expected] of [
      [3, []],
      [2, [2]],
    ] as const) {
      const before = etcd.calls;
      const found = await collect(slotsFrom(etcd.store, 'state', from, hash));
      expect(found.map(({ slot }) => slot)).toEqual(expected);
      expect(etcd.calls).toBe(before + 1);
    }
  });
});

describe('loading', () => {
  it('writes what is absent, whatever lies before, survives lost answers, and names the newest in the head', async () => {
    const etcd = new FakeEtcd();
    etcd.put(etcd.keys.slot('state', 6), 'what was there');
    for (const carriedOut of ['now', 'later', 'never', 'now'] as const)
      etcd.fates.push({ carriedOut, says: silent });
    await loadSlots(
      etcd.store,
      'state',
      [7, 5, 6].map((slot) => ({ slot, batch })),
    );
    etcd.arrive();
    expect(etcd.text(etcd.keys.slot('state', 6))).toBe('what was there');
    expect(await slots(etcd)).toEqual([5, 6, 7]);
    await loadSlots(etcd.store, 'state', [{ slot: 6, batch }]);
    expect(await bounds(etcd)).toEqual([5, 7]);
    expect(await appendSlot(etcd.store, 'state', { slot: 7, hash: ownHash(batch) }, batch)).toEqual({
      status: 'committed',
    });
  });
});

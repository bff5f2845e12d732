import { describe, expect, it } from 'vitest';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Appended, Place } from '../../src/log/slot-driver.ts';
import { appendSlot } from './appending.ts';
import { FakeEtcd } from './fake-etcd.ts';
import { headValue } from './head.ts';

const start: Place = { slot: 0, hash: noHash };
const batchOf = (n: number, by = 'us'): Buffer => Buffer.from(`${by}: batch ${n}`.padStart(80, '.'));
const placeOf = (slot: number, batch = batchOf(slot)): Place => ({ slot, hash: ownHash(batch) });
const full = '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded';
const silent = '4 DEADLINE_EXCEEDED: Deadline exceeded';

/** An etcd with slots 1 to `count`. */
async function setUp(count = 0): Promise<{
  etcd: FakeEtcd;
  append: (after: Place, batch?: Buffer) => Promise<Appended>;
  slot: (n: number) => string;
}> {
  const etcd = new FakeEtcd();
  etcd.put(etcd.keys.floor('state'), '1');
  const append = (after: Place, batch = batchOf(after.slot + 1)): Promise<Appended> =>
    appendSlot(etcd.store, 'state', after, batch);
  for (let n = 0; n < count; n++) await append(n === 0 ? start : placeOf(n));
  etcd.heard.splice(0);
  return { etcd, append, slot: (n) => etcd.keys.slot('state', n) };
}

describe('an append', () => {
  it('is one transaction, and names itself in the head', async () => {
    const { etcd, append } = await setUp(2);
    const before = etcd.calls;
    expect(await append(placeOf(2))).toEqual({ status: 'committed' });
    expect(etcd.calls).toBe(before + 1);
    expect(etcd.text(etcd.keys.head('state'))).toBe(headValue(placeOf(3)));
    expect(etcd.heard).toEqual([undefined]);
  });

  it('is refused after another batch, one that is gone, and one that never was', async () => {
    const { etcd, append, slot } = await setUp(3);
    for (const after of [
      placeOf(3, batchOf(3, 'them')),
      placeOf(9),
      { slot: 0, hash: batchOf(1).subarray(0, 32) },
    ])
      expect(await append(after)).toEqual({ status: 'predecessor changed' });
    etcd.delete(slot(3));
    expect(await append(placeOf(3))).toEqual({ status: 'predecessor changed' });
    expect(etcd.stored.has(slot(4))).toBe(false);
  });

  it('goes on at a floor above which nothing is left, and is refused below it', async () => {
    const { etcd, append, slot } = await setUp(3);
    etcd.put(etcd.keys.floor('state'), '4');
    for (const n of [1, 2, 3]) etcd.delete(slot(n));
    expect(await append(placeOf(1))).toEqual({ status: 'below floor', floor: 4 });
    expect(await append(placeOf(3, batchOf(3, 'them')))).toEqual({ status: 'predecessor changed' });
    expect(await append(placeOf(3))).toEqual({ status: 'committed' });
  });

  it('says that a slot is taken when the head lies beyond a missing one: reading tells', async () => {
    const { etcd, append, slot } = await setUp(4);
    etcd.delete(slot(3));
    expect(await append(placeOf(2))).toEqual({ status: 'taken', head: 4 });
  });
});

describe('an append beside a process of the release before', () => {
  it.each([
    ['the number alone', '3'],
    ['a lower number, from one that slept', '1'],
    ['no head', undefined],
  ])('finds %s, looks at the batch before, and leaves the new form', async (_, head) => {
    const { etcd, append, slot } = await setUp(3);
    if (head === undefined) etcd.delete(etcd.keys.head('state'));
    else etcd.put(etcd.keys.head('state'), head);
    expect(await append(placeOf(3, batchOf(3, 'them')))).toEqual({ status: 'predecessor changed' });
    expect(await append(placeOf(3))).toEqual({ status: 'committed' });
    expect(etcd.text(etcd.keys.head('state'))).toBe(headValue(placeOf(4)));
    etcd.put(etcd.keys.head('state'), '4');
    etcd.delete(slot(4));
    expect(await append(placeOf(4))).toEqual({ status: 'predecessor changed' });
  });
});

describe('an append that etcd refuses for its quota', () => {
  it('is committed when it was carried out all the same, and etcd counts as full', async () => {
    const { etcd, append, slot } = await setUp(1);
    etcd.fates.push({ carriedOut: 'now', says: full });
    expect(await append(placeOf(1))).toEqual({ status: 'committed' });
    expect(etcd.text(slot(2))).toBe(batchOf(2).toString());
    expect(etcd.heard).toEqual(['no_space']);
  });

  it('is refused when it is seen that it was not', async () => {
    const { etcd, append } = await setUp(1);
    etcd.fates.push({ carriedOut: 'never', says: full });
    await expect(append(placeOf(1))).rejects.toMatchObject({ code: 'no_space' });
    expect(etcd.heard).toEqual(['no_space']);
  });

  it('is taken when another was faster', async () => {
    const { etcd, append, slot } = await setUp(1);
    etcd.put(slot(2), batchOf(2, 'them'));
    etcd.fates.push({ carriedOut: 'never', says: full });
    expect(await append(placeOf(1))).toEqual({ status: 'taken', head: 2 });
  });

  it('is ambiguous when it cannot be seen', async () => {
    const { etcd, append } = await setUp(1);
    etcd.fates.push({ carriedOut: 'now', says: full });
    etcd.readFailures.push(silent);
    await expect(append(placeOf(1))).rejects.toMatchObject({ code: 'ambiguous' });
  });
});

describe('an append that etcd refuses', () => {
  it.each([
    ['7 PERMISSION_DENIED: etcdserver: permission denied', 'unavailable'],
    ['15 DATA_LOSS: etcdserver: corrupt cluster', 'unavailable'],
    ['8 RESOURCE_EXHAUSTED: Received message larger than max (5 vs 4)', 'too_large'],
    ['2 UNKNOWN: auth: revision in header is old', 'unavailable'],
  ])('after it may have been carried out is settled by reading: %s', async (says, code) => {
    const { etcd, append } = await setUp(1);
    etcd.fates.push({ carriedOut: 'now', says });
    expect(await append(placeOf(1))).toEqual({ status: 'committed' });
    etcd.fates.push({ carriedOut: 'never', says });
    await expect(append(placeOf(2))).rejects.toMatchObject({ code });
  });

  it('before it proposes is not written, and nothing is read', async () => {
    const { etcd, append } = await setUp(1);
    etcd.fates.push({ carriedOut: 'never', says: '8 RESOURCE_EXHAUSTED: etcdserver: too many requests' });
    const before = etcd.calls;
    await expect(append(placeOf(1))).rejects.toMatchObject({ code: 'unavailable' });
    expect(etcd.calls).toBe(before + 1);
  });
});

describe('an append that is not answered', () => {
  it('is ambiguous; sent again it is taken, and what arrives late changes nothing', async () => {
    const { etcd, append, slot } = await setUp(1);
    etcd.fates.push({ carriedOut: 'later', says: silent });
    await expect(append(placeOf(1))).rejects.toMatchObject({ code: 'ambiguous' });
    expect(await append(placeOf(1), batchOf(2, 'them'))).toEqual({ status: 'committed' });
    etcd.arrive();
    expect(etcd.text(slot(2))).toBe(batchOf(2, 'them').toString());
    expect(await append(placeOf(1))).toEqual({ status: 'taken', head: 2 });
  });
});

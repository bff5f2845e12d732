import { describe, expect, it } from 'vitest';
import type { BlobStore } from '../../src/log/slot-driver.ts';
import { blobStore } from './blobs.ts';
import { FakeEtcd } from './fake-etcd.ts';

const silent = '4 DEADLINE_EXCEEDED: Deadline exceeded';
const full = '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded';
const [one, two] = [Buffer.from('one'), Buffer.from('two')];
const large = (fill: number): Buffer => Buffer.alloc(2 * 1024 * 1024 + 5, fill);

function setUp(name: 'vault' | 'snapshots' = 'vault'): { etcd: FakeEtcd; blobs: BlobStore } {
  const etcd = new FakeEtcd();
  return { etcd, blobs: blobStore(etcd.store, name) };
}
const held = async (blobs: BlobStore, key: string): Promise<string | undefined> => {
  const value = await blobs.get(key);
  return value && Buffer.from(value).toString();
};

describe('a value whose answers are lost', () => {
  it('is created once, and what arrives after it was destroyed changes nothing', async () => {
    const { etcd, blobs } = setUp();
    etcd.fates.push({ carriedOut: 'later', says: silent });
    expect(await blobs.create('k', one)).toBe('created');
    await blobs.destroy('k');
    etcd.arrive();
    expect(await blobs.get('k')).toBeUndefined();
    expect(await blobs.list('')).toEqual([]);
    expect([...etcd.stored.keys()]).toEqual([etcd.keys.destroyed('vault', 'k')]);
  });

  it('is looked at before anything is sent again', async () => {
    const { etcd, blobs } = setUp();
    etcd.fates.push({ carriedOut: 'now', says: silent });
    expect(await blobs.create('k', one)).toBe('created');
    etcd.fates.push({ carriedOut: 'now', says: silent });
    expect(await blobs.replace('k', one, two)).toBe('replaced');
    etcd.fates.push({ carriedOut: 'now', says: silent });
    const before = etcd.calls;
    await blobs.destroy('k');
    expect(etcd.calls).toBe(before + 2);
  });

  it('is not replaced by a request that arrives late, though it is again what it was then', async () => {
    const { etcd, blobs } = setUp();
    await blobs.create('k', one);
    etcd.fates.push({ carriedOut: 'later', says: silent });
    expect(await blobs.replace('k', one, two)).toBe('replaced');
    expect(await blobs.replace('k', two, one)).toBe('replaced');
    etcd.arrive();
    expect(await held(blobs, 'k')).toBe('one');
  });

  it('is not removed by a request that arrives after it was made again', async () => {
    const { etcd, blobs } = setUp('snapshots');
    await blobs.create('k', one);
    etcd.fates.push({ carriedOut: 'later', says: silent });
    await blobs.remove('k');
    expect(await blobs.create('k', two)).toBe('created');
    etcd.arrive();
    expect(await held(blobs, 'k')).toBe('two');
  });

  it('is told ambiguous when it stays unknown, also where the last try was refused', async () => {
    const { etcd, blobs } = setUp();
    etcd.fates.push({ carriedOut: 'later', says: silent }, { carriedOut: 'never', says: full });
    await expect(blobs.create('k', one)).rejects.toMatchObject({ code: 'ambiguous' });
  });
});

describe('a value that etcd refuses for its quota', () => {
  it('is there when it was carried out all the same, and refused when it is seen that it was not', async () => {
    const { etcd, blobs } = setUp();
    etcd.fates.push({ carriedOut: 'now', says: full });
    expect(await blobs.create('k', one)).toBe('created');
    etcd.fates.push({ carriedOut: 'never', says: full });
    await expect(blobs.create('k2', one)).rejects.toMatchObject({ code: 'no_space' });
    etcd.fates.push({ carriedOut: 'never', says: full });
    await expect(blobs.replace('k', one, two)).rejects.toMatchObject({ code: 'no_space' });
  });
});

describe('a value that was destroyed', () => {
  it('stays so where a process of the release before puts it blindly', async () => {
    const { etcd, blobs } = setUp();
    await blobs.create('k', one);
    await blobs.destroy('k');
    etcd.put(etcd.keys.blob('vault', 'k', 0), Buffer.concat([Buffer.from([0, 0, 0, 1]), one]));
    expect(await blobs.get('k')).toBeUndefined();
    expect(await blobs.create('k', one)).toBe('destroyed');
    expect(await blobs.replace('k', one, two)).toBe('changed');
    await blobs.destroy('k');
    expect(etcd.stored.has(etcd.keys.blob('vault', 'k', 0))).toBe(false);
  });

  it('leaves the history of etcd, as what is removed and what is replaced does, and keeps those beside it', async () => {
    const { etcd, blobs } = setUp();
    await blobs.create('k', one);
    await blobs.create('k2', one);
    expect(etcd.freed).toEqual([]);
    await blobs.replace('k', one, two);
    await blobs.destroy('k');
    expect(etcd.freed).toEqual(['13', '14']);
    await blobs.remove('k2');
    expect(etcd.freed).toEqual(['13', '14', '15']);
    etcd.fates.push({ carriedOut: 'now', says: silent });
    await blobs.destroy('k3');
    expect(etcd.freed.slice(3)).toEqual([undefined]);
    await blobs.create('k4', one);
    await blobs.destroy('k4');
    expect(await blobs.list('')).toEqual([]);
  });
});

describe('a value in pieces', () => {
  it('is whole or not there, also when a try before it ended half way with another', async () => {
    const { etcd, blobs } = setUp('snapshots');
    etcd.put(etcd.keys.blob('snapshots', 'k', 2), 'what a process left that died');
    expect(await blobs.get('k')).toBeUndefined();
    expect(await blobs.list('')).toEqual([]);
    expect(await blobs.create('k', large(1))).toBe('created');
    expect(large(1).equals((await blobs.get('k')) ?? Buffer.alloc(0))).toBe(true);
    expect(await blobs.create('k', large(1))).toBe('created');
    expect(await blobs.create('k', large(2))).toBe('exists');
    await blobs.remove('k');
    expect(etcd.stored.size).toBe(0);
  });

  it('survives lost answers of each piece', async () => {
    const { etcd, blobs } = setUp('snapshots');
    for (const carriedOut of ['now', 'later', 'now', 'now'] as const)
      etcd.fates.push({ carriedOut, says: silent });
    expect(await blobs.create('k', large(1))).toBe('created');
    etcd.arrive();
    expect(large(1).equals((await blobs.get('k')) ?? Buffer.alloc(0))).toBe(true);
  });

  it('is never mixed of two that are made at once', async () => {
    const { blobs } = setUp('snapshots');
    const ends = await Promise.allSettled([blobs.create('k', large(1)), blobs.create('k', large(2))]);
    const made = ends.findIndex((one) => one.status === 'fulfilled' && one.value === 'created');
    const stored = Buffer.from((await blobs.get('k')) ?? []);
    if (made >= 0) expect(stored.equals(large(made + 1))).toBe(true);
    else expect(stored).toHaveLength(0);
  });

  it('is removed when its first piece is missing', async () => {
    const { etcd, blobs } = setUp('snapshots');
    await blobs.create('k', large(1));
    etcd.delete(etcd.keys.blob('snapshots', 'k', 0));
    await blobs.remove('k');
    expect(etcd.stored.size).toBe(0);
  });
});

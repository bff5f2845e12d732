import { beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { authenticityOf } from './authenticity.ts';
import { decodeBatch } from './batch.ts';
import { BlobCopy } from './copy-blobs.ts';
import type { ClusterLog } from './event-log.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { leastApart, Milestones, milestonesFolder, mostKept } from './milestones.ts';
import { openLog } from './open-log.ts';
import type { SnapshotTrust } from './snapshot-store.ts';

const cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' };
let store: MemoryStore;
let log: ClusterLog;
beforeEach(async () => {
  store = memoryStore();
  log = await openLog({
    driver: memoryDriver(store),
    keyring: memoryKeyring(realWorld),
    world: realWorld,
    writer: 'w',
    sink: silentLog,
  });
  await log.state.append([{ stream: 'role-a', expected: 0, facts: [{ type: 'x', data: {} }] }], cause);
  return () => log.close();
});

const authenticity = authenticityOf(Buffer.alloc(32, 7));
const trusting = (isAuthentic: boolean): SnapshotTrust => ({
  authenticity,
  isAuthentic: () => Promise.resolve(isAuthentic),
});
const milestones = (trust: SnapshotTrust = trusting(true)): Milestones =>
  new Milestones(memoryDriver(store), 'state', silentLog, trust);
const placeAt = (position: number) => ({
  position,
  slot: 1,
  hash: decodeBatch(store.slots.get('state')?.get(1) ?? expect.unreachable()).hash.toString('hex'),
  takenAt: cause.at,
});
/** A state in pieces, and one that is none. */
const viewsAt = (position: number) => [
  {
    name: 'many.1',
    position,
    state: { known: Array.from({ length: 1_000 }, (_, i) => [`k${i}`, { at: position }]), unreadable: [] },
  },
  { name: 'one.1', position: position - 1, state: [position] },
];
const keep = (position: number, of = milestones()): Promise<void> =>
  of.keep(viewsAt(position), placeAt(position), false);
const blobAt = (position: number): string =>
  `${milestonesFolder('state')}${String(position).padStart(16, '0')}`;

describe('milestones', () => {
  it('are the states as they were kept, each with its position; the nearest before is found', async () => {
    for (const position of [leastApart, 2 * leastApart]) await keep(position);
    expect(await milestones().before(leastApart - 1)).toBeUndefined();
    expect(await milestones().before(leastApart)).toEqual(viewsAt(leastApart));
    expect(await milestones().before(2 * leastApart - 1)).toEqual(viewsAt(leastApart));
    expect(await milestones().before(9 * leastApart)).toEqual(viewsAt(2 * leastApart));
  });

  it('are not kept close to each other, and those of a log that has gone back are removed', async () => {
    for (const position of [leastApart, 2 * leastApart - 1]) await keep(position);
    expect(await milestones().positions()).toEqual([leastApart]);
    await keep(3 * leastApart);
    await keep(2 * leastApart);
    expect(await milestones().positions()).toEqual([leastApart, 2 * leastApart]);
  });

  it('are as far apart at the beginning of a long log as at its end, and not more than a few', async () => {
    for (let position = 10_000; position <= 5_000_000; position += 10_000) await keep(position);
    const positions = await milestones().positions();
    const apart = positions.map((one, i) => one - (positions[i - 1] ?? 0));
    expect(positions.length).toBeLessThanOrEqual(mostKept);
    expect(positions.length).toBeGreaterThan(mostKept / 4);
    expect(Math.max(...apart)).toBeLessThanOrEqual(12 * leastApart);
  });

  it.each([
    // Where the compressed text does not notice it: the time in its head.
    ['was changed', (bytes: Buffer) => Buffer.from(bytes.fill(1, 37, 41))],
    ['is cut off', (bytes: Buffer) => bytes.subarray(0, 20)],
    ['is empty', () => Buffer.alloc(0)],
  ])('one that %s is passed over', async (_what, spoil) => {
    for (const position of [leastApart, 2 * leastApart]) await keep(position);
    const key = blobAt(2 * leastApart);
    store.snapshots.set(key, spoil(Buffer.from(store.snapshots.get(key) ?? expect.unreachable())));
    expect(await milestones().before(3 * leastApart)).toEqual(viewsAt(leastApart));
  });

  it('need a MAC where the log has them, under the key of the log', async () => {
    const without = milestones(trusting(false));
    await keep(leastApart, without);
    expect(await without.before(leastApart)).toEqual(viewsAt(leastApart));
    expect(await milestones().before(leastApart)).toBeUndefined();
    await keep(2 * leastApart);
    const stranger = { ...trusting(true), authenticity: authenticityOf(Buffer.alloc(32, 8)) };
    expect(await milestones(stranger).before(2 * leastApart)).toBeUndefined();
  });

  it('of a batch that the store does not have are passed over', async () => {
    const of = milestones();
    await of.keep(viewsAt(leastApart), { ...placeAt(leastApart), hash: '0'.repeat(64) }, false);
    expect(await of.before(leastApart)).toBeUndefined();
  });

  it('under the name of another place are passed over', async () => {
    for (const position of [leastApart, 2 * leastApart]) await keep(position);
    const other = store.snapshots.get(blobAt(2 * leastApart)) ?? expect.unreachable();
    store.snapshots.set(blobAt(leastApart + 5), other);
    expect(await milestones().before(leastApart + 5)).toEqual(viewsAt(leastApart));
  });
});

it('a copy of the log has them, and no others', async () => {
  for (const position of [leastApart, 2 * leastApart]) await keep(position);
  const target = memoryDriver();
  const source = memoryDriver(store);
  const get = vi.spyOn(source.snapshots, 'get');
  const copy = new BlobCopy(source, target, false);
  await copy.snapshots();
  store.snapshots.delete(blobAt(leastApart));
  await copy.snapshots();
  expect(get.mock.calls.filter(([key]) => key === blobAt(2 * leastApart))).toHaveLength(1);
  expect(await target.snapshots.list(milestonesFolder('state'))).toEqual([blobAt(2 * leastApart)]);
  expect(await target.snapshots.get(blobAt(2 * leastApart))).toEqual(
    await memoryDriver(store).snapshots.get(blobAt(2 * leastApart)),
  );
});

it('the log keeps one with a snapshot, of the views that are named', async () => {
  for (let revision = 1; revision < leastApart; revision += 500) {
    const facts = Array.from({ length: 500 }, () => ({ type: 'x', data: {} }));
    await log.state.append([{ stream: 'role-a', expected: revision, facts }], cause);
  }
  const head = await log.state.head();
  const views = ['a.1', 'b.1'].map((name) => ({ name, position: head, state: { name } }));
  await log.takeSnapshot('state', views, { trim: false, milestones: ['b.1'] }, cause);
  expect(await log.state.milestone(head - 1)).toBeUndefined();
  expect(await log.state.milestone(head + 10)).toEqual([views[1]]);
  expect(await log.state.streamsNamed('role-')).toEqual(['role-a']);
});

import { fakeWorld } from '../api/testing.ts';
import { generateKeyPairSync } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { memoryObjects } from '../base/memory-objects.ts';
import { hour } from '../base/time.ts';
import { readAuthenticity } from './authenticity.ts';
import { type Batch, decodeBatch, encodeBatch } from './batch.ts';
import type { ClusterLog } from './event-log.ts';
import { memoryDriver } from './memory-driver.ts';
import { ArchiveBench } from './segment-testing.ts';
import { SegmentWriter } from './segment-format.ts';
import { readSegmentName } from './segment-name.ts';
import { archiveStream, emptyRecord } from './segment-record.ts';
import { Segments } from './segments.ts';
import { publicHalf, signHead } from './signed-head.ts';
import type { StoredSlot } from './slot-driver.ts';
import { collect } from './testing.ts';
import { ToldOfArchive } from './verify-archive.ts';
import { HeadEvidence } from './verify-heads.ts';
import { Walk } from './verify-walk.ts';
import { type Verification, verifyLog, type VerifyOptions } from './verify.ts';

let bench: ArchiveBench;
let log: ClusterLog;
beforeEach(async () => {
  bench = new ArchiveBench(fakeWorld());
  log = await bench.open();
  await bench.write(log, 'session-a', 300);
  await bench.compactTwice(log);
});

const verified = async (archive: boolean, more: VerifyOptions = {}): Promise<Verification> => {
  const driver = memoryDriver(bench.store);
  const authenticity = await readAuthenticity({ vault: driver.vault, keyring: bench.keyring });
  const objects = archive ? { archive: memoryObjects(bench.values) } : {};
  return verifyLog(driver, { authenticity, ...objects, ...more });
};
const segmentsOf = (): Segments => {
  const record = () => Promise.resolve(emptyRecord);
  return new Segments({
    ...{ objects: memoryObjects(bench.values), partition: 'audit', record },
    authenticity: undefined,
  });
};
async function seventh(): Promise<StoredSlot> {
  for await (const stored of segmentsOf().read(7, 8)) return stored;
  return expect.unreachable();
}
const auditOf = ({ partitions }: Verification) =>
  partitions.find(({ partition }) => partition === 'audit') ?? expect.unreachable();

describe('what the log tells of its archive', () => {
  const [own, other] = ['a', 'b'].map((digit) => digit.repeat(64)) as [string, string];
  const at = '2026-01-01T00:00:00.000Z';
  const archived = {
    partition: 'audit',
    firstSlot: 1,
    slot: 9,
    position: 20,
    hash: own,
    from: at,
    until: at,
  };
  const batchOf = (data: object): Batch =>
    ({
      ...{ slot: 1, hash: Buffer.alloc(32) },
      events: [{ stream: archiveStream('audit'), fact: { type: 'log.archived', data } }],
    }) as unknown as Batch;

  it('proves a beginning behind just the batch that it names', async () => {
    const told = new ToldOfArchive(memoryDriver(), 'audit');
    told.take(batchOf({ ...archived, place: 'x' }));
    expect(await told.beginningFault(10, own)).toBeUndefined();
    expect(await told.beginningFault(10, other)).toMatchObject({
      slot: 10,
      reason: 'it does not follow what the log says was before it',
    });
    expect(await told.beginningFault(9, own)).toMatchObject({ slot: 8 });
  });

  it('has to be what is in the archive', async () => {
    const { slot, position } = (await log.archive?.report().then(async ({ lastSlot }) => {
      const last = (await collect(log.state.read(archiveStream('audit')))).at(-1);
      expect((last?.fact.data as { slot: number }).slot).toBe(lastSlot);
      return last?.fact.data as { slot: number; position: number };
    })) ?? { slot: 0, position: 0 };
    const evidence = new HeadEvidence({
      ...{ partition: 'audit', witnessed: [], keys: [], trusted: undefined, madeAt: undefined },
    });
    const snapshots = new Map();
    const moved = [{ ...archived, partition: 'audit', slot, position, hash: other, place: 'x' }];
    const walk = new Walk('audit', { snapshots, evidence, record: { moved, deleted: undefined } });
    for await (const stored of segmentsOf().read(1, slot + 1)) if (!walk.take(stored)) break;
    expect(walk.report().bad).toMatchObject({
      slot,
      reason: 'it is not the batch that the log says was moved to the archive',
    });
  });
});

describe('verifying a log with an archive', () => {
  it('proves the whole, from the first segment to the newest slot', async () => {
    const found = await verified(true);
    expect([found.bad, found.findings]).toEqual([undefined, []]);
    const { slot, position } = log.stats().audit;
    expect(auditOf(found)).toMatchObject({ firstSlot: 1, lastSlot: slot, position, events: position });
    expect(auditOf(found)).not.toHaveProperty('archived');
  });

  it('says what was not looked at, where it is not given the archive, and accepts just that', async () => {
    const floor = await bench.floor();
    const found = await verified(false);
    expect(found.bad).toBeUndefined();
    const archived = { firstSlot: 1, lastSlot: floor - 1, place: 'memory' };
    expect(auditOf(found)).toMatchObject({ firstSlot: floor, archived });
    // One slot more is gone than the log says.
    const driver = memoryDriver(bench.store);
    await driver.trim('audit', floor + 1);
    expect((await verified(false)).bad).toEqual({
      partition: 'audit',
      status: 'damaged',
      slot: floor,
      reason: 'it is missing, and the log does not say that it was moved',
    });
  });

  it('names the segment that is missing, or is not what was written, and its first slot', async () => {
    const [, name = ''] = bench.names;
    const { firstSlot } = readSegmentName('audit', name) ?? expect.unreachable();
    const kept = Buffer.from(bench.values.get(name) ?? expect.unreachable());
    bench.values.delete(name);
    expect((await verified(true)).bad).toMatchObject({
      slot: firstSlot,
      reason: expect.stringContaining('a segment is missing') as string,
    });
    for (const at of [3, 100, kept.length - 9]) {
      const changed = Buffer.from(kept);
      changed[at] = (changed[at] ?? 0) ^ 8;
      bench.values.set(name, changed);
      expect((await verified(true)).bad).toMatchObject({
        slot: firstSlot,
        reason: expect.stringContaining(name) as string,
      });
    }
  });

  it('finds a batch that was changed in a segment, though somebody made the segment fit', async () => {
    const driver = memoryDriver(bench.store);
    const authenticity = await readAuthenticity({ vault: driver.vault, keyring: bench.keyring });
    const segments = segmentsOf();
    const [one = expect.unreachable()] = await segments.list();
    const header = await segments.header(one);
    const writer = new SegmentWriter();
    for await (const stored of segments.slotsOf(one)) {
      const batch = decodeBatch(stored.batch);
      const forged = encodeBatch(batch, ['{}'], authenticity);
      await writer.add(stored.slot === 3 ? { slot: 3, batch: forged } : stored);
    }
    const { partition, firstSlot, lastSlot, firstPosition, lastPosition, from, until, before, head } = header;
    const about = { partition, firstSlot, lastSlot, firstPosition, lastPosition, from, until, before, head };
    bench.values.set(one.name, await writer.end(about, authenticity));
    expect((await verified(true)).bad).toMatchObject({ partition: 'audit', slot: 3 });
  });

  it('accepts a beginning that was deleted when its time was over, and no other', async () => {
    const keeping = await bench.open({}, memoryObjects(bench.values), {
      keptMs: 24 * hour,
      retentionMs: 40 * hour,
    });
    await bench.compactTwice(keeping);
    const [told = expect.unreachable()] = (await collect(keeping.state.read(archiveStream('audit')))).filter(
      ({ fact }) => fact.type === 'log.archive_deleted',
    );
    const { slot } = told.fact.data as { slot: number };
    for (const archive of [true, false]) {
      const found = await verified(archive);
      expect([found.bad, auditOf(found).deletedUpTo]).toEqual([undefined, slot]);
    }
    const [first = ''] = bench.names;
    bench.values.delete(first);
    expect((await verified(true)).bad).toMatchObject({ partition: 'audit', slot: slot + 1 });
  });

  it('compares a head that a witness kept with what was moved, or counts it as trimmed', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const key = publicHalf(privateKey);
    const batch = decodeBatch((await seventh()).batch);
    const place = { partition: 'audit', slot: 7, position: batch.firstPosition } as const;
    const signed = (hash: string) => ({
      head: signHead({ ...place, hash, at: bench.world.now() }, key, privateKey),
      source: 'w',
    });
    const headsWith = async (archive: boolean, hash: string) => {
      const found = await verified(archive, { witnessed: [signed(hash)], trusted: [key] });
      const { agreed, trimmed } = auditOf(found).heads;
      return { agreed, trimmed, found: found.findings.length };
    };
    const own = batch.hash.toString('hex');
    expect(await headsWith(true, own)).toEqual({ agreed: 1, trimmed: 0, found: 0 });
    expect(await headsWith(true, 'a'.repeat(64))).toEqual({ agreed: 0, trimmed: 0, found: 1 });
    expect(await headsWith(false, own)).toEqual({ agreed: 0, trimmed: 1, found: 0 });
  });
});

import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { openS3Objects, type S3Options } from '../../backends/objects/s3.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import { memoryKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { collect } from '../../src/log/testing.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { startMotoS3 } from '../harness/dynamodb-server.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';

process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

const engine = await startMotoS3();
const events = 4_000;

describe.skipIf(engine === undefined)('the audit of a log on etcd, with an archive in S3', () => {
  let etcd: EtcdCluster;
  let objects: S3Options;
  const keyring = memoryKeyring(realWorld);
  const cause = () => ({ at: realWorld.now(), actor: 'user:test', requestId: 'r' });
  const driver = () =>
    openEtcdDriver(
      { peers: etcd.urls, prefix: '/audit', insecure: false, dialTimeoutMs: 10_000 },
      {
        sink: silentLog,
        world: realWorld,
      },
    );
  const open = async (): Promise<ClusterLog> =>
    openLog({
      ...{ driver: await driver(), keyring, world: realWorld, writer: 'w', sink: silentLog },
      archive: { objects: openS3Objects(objects), keptMs: 1, retentionMs: undefined, segmentBytes: 500_000 },
    });

  beforeAll(async () => {
    etcd = await startEtcd();
    const endpoint = engine?.endpoint ?? '';
    const region = 'us-east-1';
    const client = new S3Client({ endpoint, region, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: 'audit' }));
    client.destroy();
    objects = { bucket: 'audit', prefix: 'cluster', region, endpoint, encrypted: false };
  });
  afterAll(async () => {
    await etcd.close();
    await engine?.close();
  });

  const inStore = async (): Promise<{ floor: number; bytes: number }> => {
    const store = await driver();
    const { floor } = await store.bounds('audit');
    let bytes = 0;
    for await (const { batch } of store.read('audit', 1)) bytes += batch.length;
    await store.close();
    return { floor, bytes };
  };

  it('goes there, and another process reads, continues and proves it', { timeout: 120_000 }, async () => {
    const one = await open();
    for (let n = 0; n < events; n += 100) {
      const facts = Array.from({ length: 100 }, (_, i) => ({
        type: 'test.happened',
        data: { n: n + i, text: realWorld.uuid().repeat(10) },
      }));
      await one.audit.append([{ stream: `session-${n}`, expected: 0, facts }], cause());
    }
    const before = await inStore();
    const snapshot = () => one.takeSnapshot('audit', [], { trim: true }, cause());
    await snapshot();
    const taken = await snapshot();
    expect(taken).toMatchObject({ status: 'taken', trimmedBefore: expect.any(Number) as number });
    const after = await inStore();
    expect(after.floor).toBeGreaterThan(before.floor);
    expect(after.bytes).toBeLessThan(before.bytes / 10);
    const report = await one.archive?.report();
    expect(report).toMatchObject({ firstSlot: 1, lastSlot: after.floor - 1, fault: undefined });
    expect(report?.segments).toBeGreaterThan(2);

    const other = await open();
    const all = await collect(other.audit.history(0));
    expect(all.filter(({ fact }) => fact.type === 'test.happened')).toHaveLength(events);
    expect(await collect(other.audit.read('session-100', 99))).toHaveLength(1);
    await other.audit.append(
      [{ stream: 'session-100', expected: 100, facts: [{ type: 'test.happened', data: {} }] }],
      cause(),
    );
    expect(await one.audit.revision('session-100')).toBe(101);

    const store = await driver();
    const archive = openS3Objects(objects);
    const found = await verifyLog(store, { archive });
    expect([found.bad, found.findings]).toEqual([undefined, []]);
    expect(found.partitions.find(({ partition }) => partition === 'audit')?.firstSlot).toBe(1);
    console.log(
      `${before.bytes} bytes of audit in etcd, ${after.bytes} after; ${report?.segments} segments of ${report?.bytes} bytes in S3`,
    );
    await Promise.all([store.close(), archive.close(), one.close(), other.close()]);
  });

  it('stays in the store while S3 is away, and goes when it is there', { timeout: 120_000 }, async () => {
    const { floor } = await inStore();
    const away = { ...objects, endpoint: 'http://127.0.0.1:9', attemptTimeoutMs: 300 };
    const log = await openLog({
      ...{ driver: await driver(), keyring, world: realWorld, writer: 'w', sink: silentLog },
      archive: { objects: openS3Objects(away), keptMs: 1, retentionMs: undefined },
    });
    const append = (expected: number) =>
      log.audit.append(
        [{ stream: 'session-x', expected, facts: [{ type: 'test.happened', data: {} }] }],
        cause(),
      );
    for (let n = 0; n < 3; n++) await append(n);
    const compacted = log.takeSnapshot('audit', [], { trim: true }, cause());
    await expect(compacted).rejects.toMatchObject({ code: 'unavailable' });
    expect((await inStore()).floor).toBe(floor);
    await append(3);
    expect(await collect(log.audit.read('session-x'))).toHaveLength(4);
    await log.close();
    const back = await open();
    for (let n = 0; n < 2; n++) await back.takeSnapshot('audit', [], { trim: true }, cause());
    expect((await inStore()).floor).toBeGreaterThan(floor);
    await back.close();
  });
});

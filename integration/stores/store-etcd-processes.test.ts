import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seldom, times } from '../../backends/conformance/trial.ts';
import { WriterProcess } from '../../backends/conformance/writer-process.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { StreamName } from '../../src/log/event.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { openTrialLog } from './store-writers.ts';

let etcd: EtcdCluster;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd.close());

const options = (): Parameters<typeof openEtcdDriver>[0] => ({
  peers: etcd.urls,
  prefix: '/processes',
  insecure: false,
  dialTimeoutMs: 10_000,
});
const writer = (name: string): WriterProcess =>
  new WriterProcess({ type: 'etcd', partition: 'state', options: options() }, name);

describe('several processes on one etcd', () => {
  it('lose and double nothing when writers are killed in mid-append', { timeout: 600_000 }, async () => {
    const acknowledged = new Map<StreamName, number>();
    const survivor = writer('survivor');
    const kills = seldom(4, 10);
    for (let loop = 1; loop <= kills; loop++) {
      const victim = writer(`victim${loop % 2}`);
      await victim.until(20 + ((37 * loop) % 200));
      await victim.kill();
      for (const [stream, revision] of victim.acknowledged) acknowledged.set(stream, revision);
    }
    await survivor.until(times(200));
    await survivor.kill();
    for (const [stream, revision] of survivor.acknowledged) acknowledged.set(stream, revision);

    const driver = await openEtcdDriver(options(), { sink: silentLog, world: realWorld });
    const log = await openTrialLog(driver);
    const seen = new Map<StreamName, number>();
    for await (const { stream, fact } of log.state.history(0)) {
      // Each writer numbers its events: one that was doubled or lost would break the row.
      expect((fact.data as { n: number }).n).toBe((seen.get(stream) ?? 0) + 1);
      seen.set(stream, (seen.get(stream) ?? 0) + 1);
    }
    let total = 0;
    for (const [stream, revision] of acknowledged) {
      total += revision;
      expect(seen.get(stream) ?? 0, stream).toBeGreaterThanOrEqual(revision);
    }
    console.log(`${kills + 1} writers killed, ${total} events acknowledged, 0 lost, 0 doubled`);
    expect((await verifyLog(driver)).bad).toBeUndefined();
    await log.close();
  });
});

/*
 * The versions of etcd that Debian's releases carry, from the oldest that we take. Without them, that is
 * printed.
 */
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeOtherEngine } from '../../backends/conformance/suite.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { until } from '../harness/run-program.ts';
import { type DebianRelease, unpackPackages } from '../harness/debian-packages.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { etcdTrial } from './etcd-trial.ts';
import { openTrialLog, startWriters, tallyOf } from './store-writers.ts';

/** Where the programs of a version lie; undefined where they cannot be had. */
const programsOf = async (release: DebianRelease): Promise<string | undefined> => {
  const root = await unpackPackages(release, ['etcd-server']);
  return root && join(root, 'usr/bin');
};
const found = {
  '3.3': await programsOf('bullseye'),
  '3.4': await programsOf('bookworm'),
  '3.5': await programsOf('trixie'),
};

async function versionsOf({ urls }: EtcdCluster): Promise<string[]> {
  const versions = urls.map(async (url) => {
    const client = new Etcd3({ hosts: url });
    try {
      return (await client.maintenance.status()).version.replace(/\.\d+$/, '');
    } finally {
      client.close();
    }
  });
  return Promise.all(versions);
}

for (const version of ['3.3', '3.5'] as const)
  describe.skipIf(found[version] === undefined)(`version ${version} of etcd`, () => {
    let etcd: EtcdCluster;
    beforeAll(async () => {
      etcd = await startEtcd(1, [], undefined, found[version]);
    });
    afterAll(() => etcd.close());

    it('is what runs', async () => {
      expect(await versionsOf(etcd)).toEqual([version]);
    });
    describeOtherEngine(`etcd ${version}`, () => Promise.resolve(etcdTrial(etcd.urls)));
  });

const inOrder = Object.values(found).filter((programs) => programs !== undefined);

describe.skipIf(inOrder.length < 3)('three etcd servers', () => {
  it('are upgraded from 3.3 to 3.5, one after the other, while we write', { timeout: 180_000 }, async () => {
    const [oldest = '', ...newer] = inOrder;
    const cluster = await startEtcd(3, [], undefined, oldest);
    const log = await openTrialLog(
      await openEtcdDriver(
        { peers: cluster.urls, prefix: 'upgraded', insecure: false, dialTimeoutMs: 5_000 },
        { sink: silentLog, world: realWorld },
      ),
    );
    const writers = startWriters(log, 8);
    const seen: string[][] = [await versionsOf(cluster)];
    for (const programs of newer) {
      for (const member of cluster.members) {
        await member.kill();
        await member.start(programs);
        const before = await log.state.head();
        await until(
          'appends to go on',
          async () => ((await log.state.head().catch(() => 0)) > before + 20 ? true : undefined),
          60_000,
        );
      }
      seen.push(await versionsOf(cluster));
    }
    await writers.stop();
    const tally = await tallyOf(log, writers.acknowledged);
    console.log(
      `etcd ${seen.map(([one]) => one).join(' to ')}, 6 servers replaced: ${tally.acknowledged} acknowledged, ` +
        `${tally.lost} lost, ${tally.doubled} doubled; longest pause ${Math.round(writers.longestPause())} ms, ` +
        `${writers.failures()} failures told`,
    );
    expect(seen).toEqual(['3.3', '3.4', '3.5'].map((version) => [version, version, version]));
    expect(tally).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0 });
    await log.close();
    await cluster.close();
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { Etcd3 } from 'etcd3';
import { seldom } from '../../backends/conformance/trial.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import type { EtcdOptions } from '../../backends/etcd/options.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { until } from '../harness/run-program.ts';
import { type EtcdCluster, etcdctl, leaderOf, startEtcd } from '../harness/etcd-server.ts';
import { type FaultyLink, faultyLink } from './faulty-link.ts';
import { appendNext, openTrialLog, startWriters, tallyOf } from './store-writers.ts';

const env = { sink: silentLog, world: realWorld };
const options = (peers: readonly string[], more: Partial<EtcdOptions> = {}): EtcdOptions => ({
  peers,
  prefix: 'trial',
  insecure: false,
  dialTimeoutMs: 5_000,
  ...more,
});
const open = (peers: readonly string[], more?: Partial<EtcdOptions>): Promise<SlotDriver> =>
  openEtcdDriver(options(peers, more), env);
const portOf = (url: string): number => Number(new URL(url).port);

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
async function etcd(size?: number, args?: readonly string[]): Promise<EtcdCluster> {
  const cluster = await startEtcd(size, args);
  closers.push(() => cluster.close());
  return cluster;
}
async function trialLog(driver: SlotDriver): Promise<ClusterLog> {
  const log = await openTrialLog(driver);
  closers.push(() => log.close());
  return log;
}
async function link(url: string): Promise<FaultyLink> {
  const made = await faultyLink(portOf(url));
  closers.push(() => made.close());
  return made;
}

describe('three etcd servers', () => {
  it(
    'lose and double nothing when their leader is killed again and again',
    { timeout: 300_000 },
    async () => {
      const kills = seldom(6, 10);
      const cluster = await etcd(3);
      const log = await trialLog(await open(cluster.urls));
      const writers = startWriters(log, 8);
      for (let n = 0; n < kills; n++) {
        const at = log.state;
        const before = await at.head();
        const leader = await leaderOf(cluster);
        await cluster.members[leader]?.kill();
        await until(
          'appends to go on',
          async () => ((await at.head().catch(() => 0)) > before + 20 ? true : undefined),
          60_000,
        );
        await cluster.members[leader]?.start();
      }
      await writers.stop();
      const tally = await tallyOf(log, writers.acknowledged);
      console.log(
        `${kills} leaders killed: ${tally.acknowledged} acknowledged, ${tally.lost} lost, ${tally.doubled} doubled, ` +
          `${tally.outOfOrder} out of order; longest pause ${Math.round(writers.longestPause())} ms; ` +
          `${log.stats().state.ambiguous} answers settled, ${writers.failures()} failures told`,
      );
      expect(tally).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0 });
      expect(tally.acknowledged).toBeGreaterThan(100);
    },
  );

  it('serve when one of them was never there', { timeout: 60_000 }, async () => {
    const cluster = await etcd(1);
    const log = await trialLog(await open(['http://127.0.0.1:1', ...cluster.urls, 'http://127.0.0.1:2']));
    await appendNext(log, 'trial-1', 0);
    expect(await log.state.revision('trial-1')).toBe(1);
  });
});

describe('an etcd behind a link that is cut', () => {
  it('settles every answer that was lost after a commit', { timeout: 240_000 }, async () => {
    const cuts = seldom(50, 200);
    const cluster = await etcd();
    const middle = await link(cluster.urls[0] ?? '');
    const log = await trialLog(await open([`http://127.0.0.1:${middle.port}`]));
    for (let n = 0; n < cuts; n++) {
      middle.cutNextAnswer();
      await appendNext(log, 'trial-1', n);
    }
    const tally = await tallyOf(log, new Map([['trial-1', cuts]]));
    console.log(
      `${middle.lost()} answers cut: ${JSON.stringify(tally)}, ${log.stats().state.ambiguous} settled`,
    );
    expect(tally).toEqual({ acknowledged: cuts, lost: 0, doubled: 0, outOfOrder: 0 });
    expect(log.stats().state.ambiguous).toBeGreaterThan(cuts / 2);
  });

  it('gives a follower that was far behind every event once, in order', { timeout: 120_000 }, async () => {
    const cluster = await etcd();
    const writer = await trialLog(await open(cluster.urls));
    const middle = await link(cluster.urls[0] ?? '');
    const reader = await trialLog(await open([`http://127.0.0.1:${middle.port}`]));
    const many = 5_000;
    const seen: number[] = [];
    const facts = Array.from({ length: 500 }, (_, n) => ({ type: 'trial.happened', data: { n } }));
    const cause = { at: realWorld.now(), actor: 'user:trial', requestId: 'r1' };
    for (let n = 0; n < many; n += facts.length)
      await writer.state.append([{ stream: 'trial-1', expected: n, facts }], cause);
    const following = reader.state.follow(0).subscribe(({ position }) => {
      seen.push(position);
      if (seen.length % 1_000 === 0) middle.cutAll();
    });
    await until('all of them', () => (seen.length >= many ? true : undefined), 60_000);
    middle.cutAll();
    for (let n = 0; n < 20; n++) await appendNext(writer, 'trial-2', n);
    await until('those after the cut', () => (seen.length >= many + 20 ? true : undefined), 60_000);
    following.unsubscribe();
    expect(seen).toEqual(Array.from({ length: many + 20 }, (_, i) => i + 1));
  });
});

describe('an etcd whose own history was compacted', () => {
  it('is read as before', { timeout: 60_000 }, async () => {
    const cluster = await etcd();
    const log = await trialLog(await open(cluster.urls));
    for (let n = 0; n < 50; n++) await appendNext(log, 'trial-1', n);
    const client = new Etcd3({ hosts: [...cluster.urls] });
    const { header } = await client.kv.range({ key: Buffer.from('x') });
    await client.kv.compact({ revision: header.revision, physical: true });
    client.close();
    await cluster.members[0]?.kill();
    await cluster.members[0]?.start();
    const seen: number[] = [];
    const following = log.state.follow(0).subscribe(({ position }) => seen.push(position));
    await appendNext(log, 'trial-1', 50);
    await until('all of them', () => (seen.length === 51 ? true : undefined));
    following.unsubscribe();
  });
});

describe('an etcd that is full', () => {
  it(
    'is said clearly, is read all the same, and works again when there is room',
    { timeout: 120_000 },
    async () => {
      const cluster = await etcd(1, ['--quota-backend-bytes=2000000']);
      const driver = await open(cluster.urls);
      const log = await trialLog(driver);
      const filler = new Etcd3({ hosts: [...cluster.urls] });
      closers.push(() => {
        filler.close();
        return Promise.resolve();
      });
      await appendNext(log, 'trial-1', 0);
      await expect(
        (async () => {
          for (let n = 0; n < 100; n++) await filler.put(`filler/${n}`).value('x'.repeat(100_000));
        })(),
      ).rejects.toThrow(/space exceeded/);
      await expect(appendNext(log, 'trial-1', 1)).rejects.toMatchObject({ code: 'no_space' });
      expect(log.store().trouble).toMatch(/reached its quota.*etcdctl defrag/);
      expect(await log.state.revision('trial-1')).toBe(1);
      const operator = (line: string): Promise<string> => etcdctl(cluster, line);
      await operator('del --prefix filler/');
      const revision = /"revision":(\d+)/.exec(await operator('get x -w json'))?.[1] ?? '';
      await operator(`compact ${revision} --physical`);
      await operator('defrag');
      await operator('alarm disarm');
      await appendNext(log, 'trial-1', 1);
      expect(log.store().trouble).toBeUndefined();
    },
  );
});

describe('an etcd that cannot be opened', () => {
  it('says which peers were tried, within its time', async () => {
    const began = performance.now();
    await expect(
      open(['http://127.0.0.1:1', 'http://127.0.0.1:2'], { dialTimeoutMs: 1_000 }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /127\.0\.0\.1:\d:.*ECONNREFUSED.*127\.0\.0\.1:\d:.*tried for 1 s/s,
      ) as string,
    });
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it(
    'names a prefix that holds something else, and one of a newer version',
    { timeout: 30_000 },
    async () => {
      const cluster = await etcd();
      const client = new Etcd3({ hosts: [...cluster.urls] });
      closers.push(() => {
        client.close();
        return Promise.resolve();
      });
      await client.put('/teleport/authorities/user/example').value('4.4');
      await expect(open(cluster.urls, { prefix: 'teleport/' })).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining('/teleport/authorities/user/example') as string,
      });
      await client.put('/newer/format').value('teleport-log 2\n');
      await expect(open(cluster.urls, { prefix: '/newer/' })).rejects.toThrow(/newer version of teleport/);
    },
  );

  it('takes a prefix with and without slashes for the same', { timeout: 30_000 }, async () => {
    const cluster = await etcd();
    const first = await trialLog(await open(cluster.urls, { prefix: '/one/two/' }));
    await appendNext(first, 'trial-1', 0);
    const second = await trialLog(await open(cluster.urls, { prefix: 'one/two' }));
    expect(await second.state.revision('trial-1')).toBe(1);
  });
});

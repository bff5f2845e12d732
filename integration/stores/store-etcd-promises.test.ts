/* What the driver promises while etcd is late, mute, full or put back: each was broken once. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3 } from 'etcd3';
import { afterEach, describe, expect, it } from 'vitest';
import { times } from '../../backends/conformance/trial.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import { isCoded } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { until } from '../harness/run-program.ts';
import { appendNewest, batchOf, newestIn } from './driver-appends.ts';
import { type EtcdCluster, type EtcdMember, etcdctl, leaderOf, startEtcd } from '../harness/etcd-server.ts';
import { faultyLink } from './faulty-link.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
async function etcd(size?: number, args?: readonly string[]): Promise<EtcdCluster> {
  const cluster = await startEtcd(size, args);
  closers.push(() => cluster.close());
  return cluster;
}
/** One that begins with the first of its peers. */
async function open(peers: readonly string[]): Promise<SlotDriver> {
  const driver = await openEtcdDriver(
    { peers, prefix: '/teleport', insecure: false, dialTimeoutMs: 5_000 },
    { sink: silentLog, world: { ...realWorld, randomBytes: (count) => new Uint8Array(count) } },
  );
  closers.push(() => driver.close());
  return driver;
}

/** Transactions that a member has ended, however. */
async function transactionsOf(url: string): Promise<number> {
  const page = await (await fetch(`${url}/metrics`)).text();
  const counts = page.matchAll(/^grpc_server_handled_total\{[^}]*grpc_method="Txn"[^}]*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

/**
 * Requests came to a member, and no more are on their way. Those that were given up meanwhile may not be
 * carried out.
 */
async function arrived(url: string, before: number): Promise<void> {
  let last = before;
  const late = await until('late requests', async () => {
    const count = await transactionsOf(url);
    if (count > before && count === last) return count - before;
    last = count;
    return undefined;
  });
  console.log(`${late} requests arrived late`);
}

function stop(member: EtcdMember): () => void {
  process.kill(member.pid(), 'SIGSTOP');
  let stopped = true;
  const goOn = (): void => {
    if (stopped) process.kill(member.pid(), 'SIGCONT');
    stopped = false;
  };
  closers.push(goOn);
  return goOn;
}

const names = Array.from({ length: 30 }, (_, n) => `data-key/${n}`);
const makeAndDestroy = async ({ vault }: SlotDriver): Promise<void> => {
  const ends = await Promise.all(names.map((key) => vault.create(key, Buffer.from('wrapped'))));
  expect(new Set(ends)).toEqual(new Set(['created']));
  await Promise.all(names.map((key) => vault.destroy(key)));
};

describe('a first request that arrives after its repetition, and after what came then', () => {
  it('through a link that kept it changes nothing', { timeout: 60_000 }, async () => {
    const cluster = await etcd();
    const [url = ''] = cluster.urls;
    const link = await faultyLink(Number(new URL(url).port));
    closers.push(() => link.close());
    const driver = await open([`http://127.0.0.1:${link.port}`, url]);
    link.hold();
    await makeAndDestroy(driver);
    const before = await transactionsOf(url);
    link.release();
    await arrived(url, before);
    expect(await driver.vault.list('')).toEqual([]);
    for (const key of names) expect(await driver.vault.get(key)).toBeUndefined();
  });

  it('at a member that was stopped changes nothing', { timeout: 120_000 }, async () => {
    const cluster = await etcd(3);
    const member = cluster.members[(await leaderOf(cluster)) === 0 ? 1 : 0];
    if (member === undefined) throw new Error('no member');
    const driver = await open([member.url, ...cluster.urls.filter((url) => url !== member.url)]);
    const before = await transactionsOf(member.url);
    const goOn = stop(member);
    await makeAndDestroy(driver);
    goOn();
    await arrived(member.url, before);
    expect(await driver.vault.list('')).toEqual([]);
  });
});

describe('a member that is mute', () => {
  it(
    'is not waited for: reading goes on after half a second, and then at once',
    { timeout: 60_000 },
    async () => {
      const cluster = await etcd(3);
      const follower = cluster.members[(await leaderOf(cluster)) === 0 ? 1 : 0];
      if (follower === undefined) throw new Error('no member');
      const driver = await open([follower.url, ...cluster.urls.filter((url) => url !== follower.url)]);
      await appendNewest(driver, 'state');
      stop(follower);
      const took = async (): Promise<number> => {
        const began = performance.now();
        expect(await driver.bounds('state')).toEqual({ floor: 1, head: 1 });
        return performance.now() - began;
      };
      const [first, second] = [await took(), await took()];
      console.log(`one mute member of three: ${Math.round(first)} ms, then ${Math.round(second)} ms`);
      expect(first).toBeLessThan(1_000);
      expect(second).toBeLessThan(400);
    },
  );
});

describe('an etcd that comes to its quota under many writes', () => {
  it(
    'is not believed: what is refused is not there, what is there was not refused',
    { timeout: 240_000 },
    async () => {
      for (let round = 0; round < times(2); round++) {
        const cluster = await etcd(3, ['--quota-backend-bytes=16777216']);
        const driver = await open(cluster.urls);
        const filler = new Etcd3({ hosts: [...cluster.urls] });
        closers.push(() => {
          filler.close();
        });
        let full = false;
        const piece = randomBytes(100_000);
        const fill = async (who: number): Promise<void> => {
          for (let n = 0; !full; n++)
            try {
              await filler.put(`filler/${who}/${n}`).value(piece);
            } catch {
              full = true;
            }
        };
        const [created, refused] = [new Set<string>(), new Set<string>()];
        const write = async (who: number): Promise<void> => {
          // Some after the first refusal: each member finds it out by itself.
          for (let [n, left] = [0, 3]; left > 0; n++) {
            const key = `${who}/${n}`;
            try {
              await driver.vault.create(key, Buffer.alloc(600, who));
              created.add(key);
            } catch (e) {
              if (!isCoded(e, 'no_space')) throw e;
              refused.add(key);
              left--;
            }
          }
        };
        await Promise.all([
          ...Array.from({ length: 8 }, (_, n) => fill(n)),
          ...Array.from({ length: 80 }, (_, n) => write(n)),
        ]);
        const stored = new Set(await driver.vault.list(''));
        console.log(`quota: ${created.size} created, ${refused.size} refused, ${stored.size} there`);
        expect(stored).toEqual(created);
        expect(refused.size).toBeGreaterThan(0);
        await expect(appendNewest(driver, 'state')).rejects.toMatchObject({ code: 'no_space' });
        expect(driver.report().trouble).toMatch(/reached its quota/);
      }
    },
  );
});

describe('an etcd that is put back to an older snapshot under drivers that are open', () => {
  it(
    'takes no append of one that knew more, and goes on with one that did not',
    { timeout: 60_000 },
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'etcd-snapshot-'));
      closers.push(() => {
        rmSync(directory, { recursive: true, force: true });
      });
      const cluster = await etcd();
      const [noticing, other] = [await open(cluster.urls), await open(cluster.urls)];
      for (let n = 1; n <= 5; n++) await appendNewest(noticing, 'state', batchOf(`before ${n}`));
      const early = await newestIn(noticing, 'state');
      const snapshot = join(directory, 'snapshot.db');
      await etcdctl(cluster, `snapshot save ${snapshot}`);
      for (let n = 6; n <= 8; n++) await appendNewest(noticing, 'state', batchOf(`after ${n}`));
      const known = await newestIn(noticing, 'state');
      expect(known.slot).toBe(8);
      await cluster.members[0]?.restore(snapshot);

      for (const driver of [noticing, other]) {
        await expect(collect(driver.read('state', known.slot + 1, known.hash))).rejects.toMatchObject({
          name: 'CodedError',
          code: 'unavailable',
          slot: known.slot,
        });
        expect(await driver.append('state', known, batchOf('behind a hole'))).toEqual({
          status: 'predecessor changed',
        });
        expect(await driver.bounds('state')).toEqual({ floor: 1, head: early.slot });
      }
      expect(await other.append('state', early, batchOf('another 6'))).toEqual({ status: 'committed' });
    },
  );
});

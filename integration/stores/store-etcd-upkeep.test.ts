import { Etcd3 } from 'etcd3';
import { afterEach, describe, expect, it } from 'vitest';
import { keysBelow } from '../../backends/etcd/keys.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import type { UpkeepOptions } from '../../backends/etcd/upkeep.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { until } from '../harness/run-program.ts';
import { appendNewest, batchOf } from './driver-appends.ts';
import { type EtcdCluster, etcdctl, startEtcd } from '../harness/etcd-server.ts';

const keys = keysBelow('/teleport');
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function etcd(args?: readonly string[]): Promise<EtcdCluster> {
  const cluster = await startEtcd(1, args);
  closers.push(() => cluster.close());
  return cluster;
}
async function open(
  { urls: peers }: EtcdCluster,
  upkeep: Pick<UpkeepOptions, 'everyMs' | 'historyKeptMs'>,
): Promise<SlotDriver> {
  const driver = await openEtcdDriver(
    { peers, prefix: '/teleport', insecure: false, dialTimeoutMs: 5_000 },
    { sink: silentLog, world: realWorld, upkeep },
  );
  closers.push(() => driver.close());
  return driver;
}
function client({ urls }: EtcdCluster): Etcd3 {
  const made = new Etcd3({ hosts: [...urls] });
  closers.push(() => {
    made.close();
    return Promise.resolve();
  });
  return made;
}
const figure = (driver: SlotDriver, name: string): number => driver.report().figures[name] ?? 0;

describe('what was deleted', () => {
  it('is gone from the history of etcd as well, some time later', async () => {
    const cluster = await etcd();
    const driver = await open(cluster, { everyMs: 20, historyKeptMs: 300 });
    // What an earlier process may have deleted: compacted soon after the start.
    await until('the first compaction', () => (figure(driver, 'compacted_revision') > 0 ? true : undefined));
    const first = figure(driver, 'compacted_revision');
    for (let slot = 1; slot <= 3; slot++) await appendNewest(driver, 'state', batchOf(`batch ${slot}`));
    await driver.vault.create('data-key', Buffer.from('a data key'));
    const written = (await client(cluster).kv.range({ key: Buffer.from('x') })).header.revision;
    await driver.trim('state', 3);
    await driver.vault.destroy('data-key');
    const read = (key: string): Promise<string> =>
      etcdctl(cluster, `get ${key} --rev=${written} --print-value-only`);
    const [slot, dataKey] = [keys.slot('state', 1), keys.blob('vault', 'data-key', 0)];
    // Of those who watch from where they were: not at once.
    expect(await read(slot)).toBe(`${batchOf('batch 1').toString()}\n`);
    expect(figure(driver, 'compacted_revision')).toBe(first);
    await until('the compaction', () =>
      figure(driver, 'compacted_revision') > Number(written) ? true : undefined,
    );
    await expect(read(slot)).rejects.toThrow('has been compacted');
    await expect(etcdctl(cluster, `get --prefix ${dataKey.slice(0, -7)} --rev=${written}`)).rejects.toThrow(
      'has been compacted',
    );
    // What is there now stays.
    expect(await etcdctl(cluster, `get ${keys.slot('state', 3)} --print-value-only`)).toBe(
      `${batchOf('batch 3').toString()}\n`,
    );
  });
});

describe('a database that comes near its quota', () => {
  const quota = 24_000_000;

  it('is told of, then takes no audit, but state, until there is room', { timeout: 120_000 }, async () => {
    const cluster = await etcd([`--quota-backend-bytes=${quota}`]);
    // etcd tells the size as of its last write to the disk, which is 100 ms ago at most.
    const driver = await open(cluster, { everyMs: 110, historyKeptMs: 60_000 });
    const filler = client(cluster);
    let pieces = 0;
    /** Fills so far, one look of the driver after the other: a piece may find room among freed pages. */
    const fillTo = async (share: number): Promise<void> => {
      while (figure(driver, 'size_bytes') < share * quota) {
        const before = figure(driver, 'calls');
        const missing = share * quota - figure(driver, 'size_bytes');
        const bytes = Math.min(1_000_000, Math.max(70_000, Math.round(missing / 5)));
        await filler.put(`filler/${pieces++}`).value('x'.repeat(bytes));
        await until('two looks', () => (figure(driver, 'calls') >= before + 2 ? true : undefined));
      }
    };
    await until('the quota', () => (figure(driver, 'quota_bytes') === quota ? true : undefined));
    await fillTo(0.8);
    expect(driver.report().trouble).toBeUndefined();
    await fillTo(0.9);
    expect(driver.report().trouble).toMatch(/nearly full: \d\d\.\d MiB of 22\.9 MiB.*etcdctl defrag/);
    expect(await appendNewest(driver, 'audit')).toBe('committed');
    await fillTo(0.95);
    for (const partition of ['audit', 'presence'] as const)
      await expect(appendNewest(driver, partition)).rejects.toMatchObject({
        code: 'no_space',
        message: expect.stringContaining(`nothing is appended to ${partition}`) as string,
      });
    expect(await appendNewest(driver, 'state')).toBe('committed');

    await etcdctl(cluster, 'del --prefix filler/');
    const { header } = await filler.kv.range({ key: Buffer.from('x') });
    await etcdctl(cluster, `compact ${header.revision} --physical`);
    await etcdctl(cluster, 'defrag');
    await until('the trouble to end', () => (driver.report().trouble === undefined ? true : undefined));
    expect(await appendNewest(driver, 'audit')).toBe('committed');
  });
});

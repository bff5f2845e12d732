import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { keepingSink } from '../../backends/conformance/trial.ts';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import type { EtcdOptions } from '../../backends/etcd/options.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { run, until } from '../harness/run-program.ts';
import { appendNewest } from './driver-appends.ts';
import { unpackPackages } from '../harness/debian-packages.ts';
import { type EtcdCluster, etcdctl, startEtcd } from '../harness/etcd-server.ts';
import { appendNext, openTrialLog, startWriters, tallyOf } from './store-writers.ts';

const asRoot = '--user root:root-secret';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'etcd-users-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function password(text: string): string {
  const path = join(directory, `password-${text}`);
  writeFileSync(path, `${text}\n`, { mode: 0o600 });
  return path;
}
const user = (name: string, path: string): Partial<EtcdOptions> => ({ username: name, passwordFile: path });

async function open(
  peers: readonly string[],
  more: Partial<EtcdOptions>,
  sink = keepingSink(),
): Promise<SlotDriver> {
  const driver = await openEtcdDriver(
    { peers, prefix: '/teleport', insecure: false, dialTimeoutMs: 5_000, ...more },
    { sink, world: realWorld, upkeep: { everyMs: 50, historyKeptMs: 50 } },
  );
  closers.push(() => driver.close());
  return driver;
}
async function trialLog(driver: SlotDriver): Promise<ClusterLog> {
  const log = await openTrialLog(driver);
  closers.push(() => log.close());
  return log;
}

/** Root, and users that have all below a prefix, may only read it, and have nothing. */
async function protect(etcd: EtcdCluster): Promise<void> {
  for (const line of [
    'user add root:root-secret',
    'user grant-role root root',
    'role add log',
    'role grant-permission log --prefix=true readwrite /teleport/',
    'role add look',
    'role grant-permission look --prefix=true read /teleport/',
    'user add teleport:first-secret',
    'user grant-role teleport log',
    'user add reader:first-secret',
    'user grant-role reader look',
    'user add nobody:first-secret',
    'auth enable',
  ])
    await etcdctl(etcd, line);
}

describe('an etcd that asks for a name and a password', () => {
  let etcd: EtcdCluster;
  beforeAll(async () => {
    etcd = await startEtcd();
    await protect(etcd);
  });
  afterAll(() => etcd.close());

  it('is opened, written and looked after by root, and by a user who has the prefix and no more', async () => {
    for (const [name, text] of [
      ['teleport', 'first-secret'],
      ['root', 'root-secret'],
    ]) {
      const sink = keepingSink();
      const driver = await open(etcd.urls, user(name ?? '', password(text ?? '')), sink);
      expect(await appendNewest(driver, 'state')).toBe('committed');
      await until('a compaction', () =>
        (driver.report().figures['compacted_revision'] ?? 0) > 0 ? true : undefined,
      );
      expect(driver.report().figures['size_bytes']).toBeGreaterThan(0);
      expect(sink.lines).toEqual([]);
    }
  });

  it.each([
    ['a wrong password', 'teleport', 'wrong-secret'],
    ['an unknown name', 'stranger', 'first-secret'],
  ])('refuses %s at once: both keys are named, and no secret', async (_, name, text) => {
    const began = performance.now();
    const failure: unknown = await open(etcd.urls, user(name, password(text))).catch((e: unknown) => e);
    expect(failure).toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(
        /refuses.*invalid user ID or password.*username.*password_file/,
      ) as string,
    });
    expect(String(failure)).not.toContain('secret');
    expect(performance.now() - began).toBeLessThan(2_500);
  });

  it.each([['nobody'], ['reader']])('says what %s needs who may not do it', async (name) => {
    // A reader finds nothing of ours, and cannot mark it.
    const failure: unknown = await open(etcd.urls, user(name, password('first-secret')))
      .then((driver) => appendNewest(driver, 'state'))
      .catch((e: unknown) => e);
    expect(failure).toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(
        /needs to read and write all keys below the prefix.*permission denied/,
      ) as string,
    });
  });

  it('refuses who has no name', async () => {
    await expect(open(etcd.urls, {})).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringMatching(
        /user name is empty \(set storage\.username and storage\.password_file\)/,
      ) as string,
    });
  });
});

/** Since 3.5.28, and in 3.6, etcd keeps some questions for root. */
const strict = await unpackPackages('forky', ['etcd-server']);

describe.skipIf(strict === undefined)('an etcd that lets only root ask for its state', () => {
  it('is opened, written and measured, and what is refused is said once', async () => {
    const etcd = await startEtcd(1, [], undefined, join(strict ?? '', 'usr/bin'));
    closers.push(() => etcd.close());
    await protect(etcd);
    const sink = keepingSink();
    const driver = await open(etcd.urls, user('teleport', password('first-secret')), sink);
    for (let slot = 1; slot <= 3; slot++) expect(await appendNewest(driver, 'state')).toBe('committed');
    await driver.trim('state', 3);
    const looked = driver.report().figures['calls'] ?? 0;
    await until('two more looks', () =>
      (driver.report().figures['calls'] ?? 0) > looked + 8 && sink.lines.length > 0 ? true : undefined,
    );
    expect(driver.report().figures['size_bytes']).toBeGreaterThan(0);
    expect(driver.report().trouble).toBeUndefined();
    expect(sink.lines).toEqual([
      expect.stringMatching(/etcd does not let this user ask for: (?:alarms, )?history/),
    ]);
  });
});

describe('a token that etcd no longer knows, since it was killed', () => {
  it('is renewed while writers append, and followers go on', { timeout: 60_000 }, async () => {
    const etcd = await startEtcd();
    closers.push(() => etcd.close());
    await protect(etcd);
    const who = user('teleport', password('first-secret'));
    const log = await trialLog(await open(etcd.urls, who));
    const follower = await trialLog(await open(etcd.urls, who));
    let seen = 0;
    const following = follower.state.follow(0).subscribe(() => seen++);
    // One that only watches makes no calls that would renew its token.
    const watcher = await openEtcdDriver(
      { peers: etcd.urls, prefix: '/teleport', insecure: false, dialTimeoutMs: 5_000, ...who },
      { sink: keepingSink(), world: realWorld },
    );
    closers.push(() => watcher.close());
    let hints = 0;
    const watching = watcher.hints('state').subscribe(() => hints++);
    const writers = startWriters(log, 4);
    for (let n = 0; n < 2; n++) {
      const before = seen;
      await until('appends', () => (seen > before + 20 ? true : undefined));
      await etcd.members[0]?.kill();
      await etcd.members[0]?.start();
    }
    const before = seen;
    await until('appends after it', () => (seen > before + 20 ? true : undefined));
    hints = 0;
    await until('hints after it', () => (hints > 20 ? true : undefined), 10_000);
    watching.unsubscribe();
    await writers.stop();
    const tally = await tallyOf(log, writers.acknowledged);
    console.log(`2 kills: ${JSON.stringify(tally)}, ${writers.failures()} failures told`);
    expect(tally).toMatchObject({ lost: 0, doubled: 0, outOfOrder: 0 });
    const head = await log.state.head();
    await until('the follower', () => (seen === head ? true : undefined));
    following.unsubscribe();
  });
});

describe('a password that is changed', () => {
  it('in etcd first is refused until it is changed on disk, and then taken', async () => {
    const etcd = await startEtcd();
    closers.push(() => etcd.close());
    await protect(etcd);
    const path = join(directory, 'changing');
    writeFileSync(path, 'first-secret');
    const log = await trialLog(await open(etcd.urls, user('teleport', path)));
    await appendNext(log, 'trial-1', 0);
    await etcdctl(etcd, `${asRoot} user passwd teleport --interactive=false`, 'second-secret\n');
    await expect(appendNext(log, 'trial-1', 1)).rejects.toMatchObject({ code: 'unavailable' });
    writeFileSync(path, 'second-secret');
    await appendNext(log, 'trial-1', 1);
    expect(await log.state.revision('trial-1')).toBe(2);
  });
});

describe('a token that is signed', () => {
  it('is renewed when users were changed since', async () => {
    const [key, pub] = [join(directory, 'jwt.key'), join(directory, 'jwt.pub')];
    await run('openssl', ['genrsa', '-out', key, '2048']);
    await run('openssl', ['rsa', '-in', key, '-pubout', '-out', pub]);
    const etcd = await startEtcd(1, [`--auth-token=jwt,pub-key=${pub},priv-key=${key},sign-method=RS256`]);
    closers.push(() => etcd.close());
    await protect(etcd);
    const driver = await open(etcd.urls, user('teleport', password('first-secret')));
    const log = await trialLog(driver);
    await appendNext(log, 'trial-1', 0);
    await etcdctl(etcd, `${asRoot} user add another:secret`);
    await appendNext(log, 'trial-1', 1);
    await etcdctl(etcd, `${asRoot} user add onemore:secret`);
    const seen: number[] = [];
    const following = log.state.follow(0).subscribe(({ position }) => seen.push(position));
    await until('both events', () => (seen.length === 2 ? true : undefined));
    following.unsubscribe();
  });
});

describe('a name for an etcd that asks for none', () => {
  it('is told once, and used from the moment it is asked for', async () => {
    const etcd = await startEtcd();
    closers.push(() => etcd.close());
    const sink = keepingSink();
    // Two ways to it: each finds it out.
    const peers = [...etcd.urls, ...etcd.urls.map((url) => url.replace('127.0.0.1', 'localhost'))];
    const driver = await open(peers, user('teleport', password('first-secret')), sink);
    expect(await appendNewest(driver, 'state')).toBe('committed');
    await until('both peers', () => (driver.report().figures['peers_answering'] === 2 ? true : undefined));
    expect(sink.lines).toEqual([expect.stringContaining('its authentication is off')]);
    await protect(etcd);
    expect(await appendNewest(driver, 'state')).toBe('committed');
    expect(sink.lines).toHaveLength(1);
  });
});

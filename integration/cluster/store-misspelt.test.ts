/* One misspelt word in the storage of a cluster that runs: nothing is replaced, and what is meant is said. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, readText } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { type Daemon, endDaemons, startDaemon } from '../harness/daemon.ts';
import { type EtcdCluster, etcdctl, startEtcd } from '../harness/etcd-server.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await endDaemons();
  for (const close of closers.splice(0).reverse()) await close();
});

/** Without a node and a proxy a start takes half the time. */
const authOnly = (text: string): string =>
  text.replace(/ssh_service:[^]*/, 'ssh_service: {enabled: no}\nproxy_service: {enabled: no}\n');
const storedIn = (text: string, storage: string): string =>
  text.replace(/^( {2}storage: .*\n)?auth_service:/m, `  storage: {${storage}}\nauth_service:`);

/** An auth server, whose configuration can be given another store. */
async function authOn(storage: (dir: string) => string): Promise<Daemon> {
  const daemon = await startDaemon({ yaml: (text) => storedIn(authOnly(text), storage(dirOf(text))) });
  return daemon;
}
const dirOf = (yaml: string): string => join(/data_dir: (.*)/.exec(yaml)?.[1] ?? '', '..');
const onDirectory = (name: string) => (dir: string) => `type: dir, path: ${join(dir, name)}`;

const configure = ({ cluster }: Daemon, storage: string): void => {
  cluster.configure(storedIn(readText(cluster.config), storage));
};

/** What `tctl` printed. @throws when it failed. */
async function must({ cluster }: Daemon, ...args: string[]): Promise<string> {
  const ran = await cluster.tctl(...args);
  if (ran.code !== 0) throw new Error(`tctl ${args.join(' ')} exited ${String(ran.code)}: ${ran.stderr}`);
  return ran.stdout;
}

const pinOf = async (daemon: Daemon): Promise<string> =>
  /sha256:[0-9a-f]{64}/.exec(await must(daemon, 'status'))?.[0] ?? 'none';

/** What is kept of a cluster, byte for byte. */
const identitiesOf = ({ cluster }: Daemon): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(cluster.dataDir, 'proc'))
      .filter((name) => name.includes('.identity.json'))
      .map((name) => [name, readFileSync(join(cluster.dataDir, 'proc', name), 'utf8')]),
  );

/** Sends HUP; answers why the reload failed. */
async function failedReload(daemon: Daemon): Promise<string> {
  const path = join(daemon.cluster.dataDir, 'proc/restart.json');
  rmSync(path, { force: true });
  process.kill(daemon.main().pid, 'SIGHUP');
  const record = await until('the reload to end', () =>
    existsSync(path) ? (JSON.parse(readText(path)) as { status: string; reason?: string }) : undefined,
  );
  if (record.reason === undefined) throw new Error(`the reload ${record.status}`);
  return record.reason;
}

async function stop(daemon: Daemon): Promise<void> {
  await daemon.cluster.stop();
}

const begin = ({ cluster }: Pick<Daemon, 'cluster'>, ...flags: string[]): Promise<Ran> =>
  run('bin/teleport', ['start', '--config', cluster.config, ...flags]);

const errorOf = ({ code, stderr }: Ran): string => {
  expect(code, stderr).toBe(1);
  expect(stderr).not.toMatch(/^\s+at /m);
  const lines = stderr.match(/^error: .*$/gm) ?? [];
  expect(lines, stderr).toHaveLength(1);
  return lines[0] ?? '';
};

const hasUser = async (daemon: Daemon, name: string): Promise<boolean> =>
  new RegExp(`^${name} `, 'm').test(await must(daemon, 'users', 'ls'));

describe('a misspelt storage.path', () => {
  it('keeps a reload and a restart from making another cluster', { timeout: 120_000 }, async () => {
    const daemon = await authOn(onDirectory('store'));
    const { cluster } = daemon;
    await must(daemon, 'users', 'add', 'bob');
    const pin = await pinOf(daemon);
    const before = identitiesOf(daemon);
    const [right, wrong] = [join(cluster.dir, 'store'), join(cluster.dir, 'stroe')];
    configure(daemon, `type: dir, path: ${wrong}`);

    const main = daemon.main();
    const reason = await failedReload(daemon);
    for (const part of [cluster.dataDir, pin, wrong, cluster.config, 'the store holds no cluster'])
      expect(reason).toContain(part);
    expect(daemon.main()).toEqual(main);
    expect(existsSync(wrong)).toBe(false);
    expect(identitiesOf(daemon)).toEqual(before);
    expect(await must(daemon, 'status')).toMatch(/^Last reload +failed at .*the store holds no cluster/m);
    expect(await hasUser(daemon, 'bob')).toBe(true);
    await must(daemon, 'users', 'add', 'eve');

    await stop(daemon);
    const kept = identitiesOf(daemon);
    const refused = errorOf(await begin(daemon));
    expect(refused).toContain(`--leave-cluster=${pin}`);
    expect(refused).toContain(wrong);
    // The flag means one cluster, not any.
    const other = `sha256:${'0'.repeat(64)}`;
    expect(errorOf(await begin(daemon, `--leave-cluster=${other}`))).toContain('the store holds no cluster');
    expect(existsSync(wrong)).toBe(false);
    expect(identitiesOf(daemon)).toEqual(kept);

    configure(daemon, `type: dir, path: ${right}`);
    // Left in a unit file, it is found at the first start that does not need it, not at the first slip.
    expect(errorOf(await begin(daemon, `--leave-cluster=${pin}`))).toContain('remove the flag');
    await cluster.start();
    expect(await hasUser(daemon, 'eve')).toBe(true);
    expect(await pinOf(daemon)).toBe(pin);
  });

  it('makes a new cluster where that is said, once', { timeout: 120_000 }, async () => {
    const daemon = await startDaemon({
      yaml: (text) => storedIn(authOnly(text), onDirectory('old')(dirOf(text))),
    });
    const { cluster } = daemon;
    const old = await pinOf(daemon);
    const before = identitiesOf(daemon);
    await stop(daemon);
    configure(daemon, `type: dir, path: ${join(cluster.dir, 'new')}`);
    const child = spawnWith(cluster, `--leave-cluster=${old}`);
    await until('the new cluster', async () => (await cluster.readyz())?.code === 200 || undefined);
    const young = await pinOf(daemon);
    expect(young).not.toBe(old);
    const kept = Object.entries(identitiesOf(daemon)).filter(([name]) => name.includes('.left-'));
    expect(kept.map(([, text]) => text)).toEqual(Object.values(before));
    await child.end();
    // The same command line, and the next slip.
    configure(daemon, `type: dir, path: ${join(cluster.dir, 'typo')}`);
    expect(errorOf(await begin(daemon, `--leave-cluster=${old}`))).toContain(young);
    // Nor is the old store taken for that of the new cluster.
    configure(daemon, `type: dir, path: ${join(cluster.dir, 'old')}`);
    const another = errorOf(await begin(daemon));
    for (const part of [young, old, join(cluster.dir, 'old'), 'the store holds another cluster'])
      expect(another).toContain(part);
  });
});

/** A start with further flags, beside the one that `cluster.start` makes. */
function spawnWith(cluster: Cluster, ...flags: string[]): { end(): Promise<void> } {
  const ran = run(
    'bin/teleport',
    ['start', '--config', cluster.config, `--diag-addr=127.0.0.1:${cluster.ports.diag}`, ...flags],
    { timeoutMs: 100_000 },
  );
  const end = async (): Promise<void> => {
    const holder = JSON.parse(readText(join(cluster.dataDir, 'daemon.lock'))) as { pid: number };
    process.kill(holder.pid, 'SIGTERM');
    await ran;
  };
  return { end };
}

describe('what fits', () => {
  it(
    'is a store whose data_dir is lost, and one into which the cluster’s own backup was imported',
    { timeout: 120_000 },
    async () => {
      const daemon = await authOn(onDirectory('store'));
      const { cluster } = daemon;
      await must(daemon, 'users', 'add', 'bob');
      const pin = await pinOf(daemon);
      await must(daemon, 'log', 'export', '--with-secrets', join(cluster.dir, 'archive'));
      await stop(daemon);
      for (const name of readdirSync(cluster.dataDir).filter((one) => one !== 'keyring'))
        rmSync(join(cluster.dataDir, name), { recursive: true });
      await cluster.start();
      expect(await pinOf(daemon)).toBe(pin);
      await stop(daemon);
      configure(daemon, `type: dir, path: ${join(cluster.dir, 'other')}`);
      // A store that is lost, and a backup of its log.
      expect(errorOf(await begin(daemon))).toContain('the store holds no cluster');
      await must(daemon, 'log', 'import', join(cluster.dir, 'archive'));
      await cluster.start();
      expect(await pinOf(daemon)).toBe(pin);
      expect(await hasUser(daemon, 'bob')).toBe(true);
    },
  );
});

describe('the log of another cluster', () => {
  it('is not imported where this one belongs', { timeout: 120_000 }, async () => {
    const a = await authOn(onDirectory('store'));
    const archive = join(a.cluster.dir, 'archive');
    await must(a, 'log', 'export', '--with-secrets', archive);
    const pinOfA = await pinOf(a);
    const b = await authOn(onDirectory('store'));
    const pinOfB = await pinOf(b);
    await stop(b);
    const empty = join(b.cluster.dir, 'empty');
    configure(b, `type: dir, path: ${empty}`);
    const refused = await b.cluster.tctl('log', 'import', archive);
    expect(refused.code).toBe(1);
    for (const part of [archive, pinOfA, b.cluster.dataDir, pinOfB, `--leave-cluster=${pinOfB}`])
      expect(refused.stderr).toContain(part);
    expect(existsSync(empty)).toBe(false);
    await must(b, 'log', 'import', archive, `--to=dir:${join(b.cluster.dir, 'elsewhere')}`);
    await must(b, 'log', 'import', archive, `--leave-cluster=${pinOfB}`);
    // The start says it again: identities are still those of b.
    expect(errorOf(await begin(b))).toContain('the store holds another cluster');
  });
});

describe('a misspelt prefix of etcd', () => {
  let etcd: EtcdCluster;
  beforeAll(async () => {
    etcd = await startEtcd();
  }, 60_000);
  afterAll(() => etcd.close());

  it(
    'keeps a reload from making another cluster, and writes nothing there',
    { timeout: 120_000 },
    async () => {
      const at = (prefix: string): string =>
        `type: etcd, peers: [${etcd.urls.join(', ')}], prefix: /${prefix}/`;
      const daemon = await authOn(() => at('right'));
      const pin = await pinOf(daemon);
      configure(daemon, at('rigth'));
      const main = daemon.main();
      const reason = await failedReload(daemon);
      for (const part of [pin, daemon.cluster.dataDir, 'prefix /rigth/', 'the store holds no cluster'])
        expect(reason).toContain(part);
      expect(daemon.main()).toEqual(main);
      expect(await etcdctl(etcd, 'get --prefix /rigth --keys-only')).toBe('');
      configure(daemon, at('right'));
      await daemon.reload();
      expect(await pinOf(daemon)).toBe(pin);
    },
  );
});

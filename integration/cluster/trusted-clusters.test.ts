import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { type ExchangeRelay, exchangeRelay } from './exchange-relay.ts';

const login = userInfo().username;
const named = (name: string): Promise<Cluster> =>
  startCluster({ yaml: (text) => text.replace('cluster_name: example', `cluster_name: ${name}`) });

async function tctl(cluster: Cluster, ...args: string[]): Promise<string> {
  const ran = await cluster.tctl(...args);
  if (ran.code !== 0) throw new Error(`tctl ${args.join(' ')}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

describe('clusters that trust each other', () => {
  let root: Cluster;
  let leaf: Cluster;
  let other: Cluster;
  let relay: ExchangeRelay;
  let pin: string;
  beforeAll(async () => {
    [root, leaf, other] = await Promise.all([named('root'), named('leaf'), named('other')]);
    relay = await exchangeRelay(root.ports.auth);
    pin = /sha256:[0-9a-f]{64}/.exec(await tctl(root, 'status'))?.[0] ?? '';
    for (const cluster of [root, other]) await tctl(cluster, 'users', 'add', 'alice', login);
    const guest = join(leaf.dir, 'guest.yaml');
    writeFileSync(
      guest,
      `kind: role
version: v3
metadata: {name: guest}
spec:
  allow: {logins: ['{{internal.logins}}'], node_labels: {env: test}}
`,
    );
    await tctl(leaf, 'create', guest);
  }, 180_000);
  afterAll(async () => {
    relay.close();
    await Promise.all([root, leaf, other].map((one) => one.close()));
  });

  const newToken = async (): Promise<string> => {
    const printed = await tctl(root, 'tokens', 'add', '--type=trusted_cluster', '--ttl=10m');
    return /The cluster invite token: (\S+)/.exec(printed)?.[1] ?? printed;
  };
  const fileOf = (more: readonly string[], enabled = true): string => {
    const file = join(leaf.dir, 'trusted.yaml');
    const spec = [
      `enabled: ${String(enabled)}`,
      'role_map: [{remote: admin, local: guest}]',
      `web_proxy_addr: 127.0.0.1:${relay.port}`,
      'tunnel_addr: 127.0.0.1:3024',
      ...more,
    ];
    writeFileSync(
      file,
      [
        'kind: trusted_cluster',
        'version: v2',
        'metadata: {name: root}',
        'spec:',
        ...spec.map((one) => `  ${one}`),
        '',
      ].join('\n'),
    );
    return file;
  };
  const create = (more: readonly string[]): Promise<Ran> => leaf.tctl('create', fileOf(more));
  const signed = async (cluster: Cluster, name: string): Promise<string> => {
    const out = join(cluster.dir, name);
    await tctl(cluster, 'auth', 'sign', '--user=alice', '--format=openssh', `--out=${out}`);
    return out;
  };
  /** Straight to the node of the leaf: no proxy comes between. */
  const sshArgs = (key: string, command: string): string[] => [
    ...['-F', 'none', '-i', key, '-o', `CertificateFile=${key}-cert.pub`, '-o', 'IdentitiesOnly=yes'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'BatchMode=yes'],
    ...['-p', String(leaf.ports.ssh), `${login}@127.0.0.1`, command],
  ];
  const enter = (key: string): Promise<Ran> => run('ssh', sshArgs(key, 'echo $SSH_TELEPORT_USER'));
  const isIn = async (key: string): Promise<boolean> => (await enter(key)).stdout === 'root/alice\n';
  const events = async (cluster: Cluster, type: string): Promise<string> =>
    tctl(cluster, 'events', 'ls', `--type=${type}`, '--format=json');

  it('exchange keys by a token, with the pin of the right cluster alone, and again after a lost answer', async () => {
    const token = await newToken();
    const wrongPin = await create([`token: "${token}"`, `ca_pin: sha256:${'ab'.repeat(32)}`]);
    expect([wrongPin.code, wrongPin.stderr]).toEqual([
      1,
      expect.stringContaining('does not match cluster pin'),
    ]);
    const wrongToken = await create([`token: "${'0'.repeat(32)}"`, `ca_pin: "${pin}"`]);
    expect([wrongToken.code, wrongToken.stderr]).toEqual([
      1,
      expect.stringContaining('the token is not valid'),
    ]);
    expect(await tctl(root, 'get', 'remote_clusters', '--format=text')).not.toContain('leaf');

    relay.hold(true);
    const lost = create([`token: "${token}"`, `ca_pin: "${pin}"`]);
    await until('the root to have the leaf', async () =>
      (await tctl(root, 'get', 'remote_clusters', '--format=text')).includes('leaf') ? true : undefined,
    );
    await leaf.stop('SIGKILL');
    relay.hold(false);
    expect((await lost).code).not.toBe(0);
    await leaf.start();
    expect(await tctl(leaf, 'get', 'trusted_clusters', '--format=text')).not.toContain('root');
    const again = await create([`token: "${token}"`, `ca_pin: "${pin}"`]);
    expect([again.code, again.stdout, again.stderr]).toEqual([
      0,
      'trusted_cluster "root" has been created\n',
      '',
    ]);
    expect((await events(root, 'remote_cluster.create')).match(/T7100I/g)).toHaveLength(1);
    expect((await events(root, 'join_token.use')).match(/"success": ?true/g)).toHaveLength(1);
    const shown = await tctl(leaf, 'get', 'tc/root');
    expect(shown).toContain('remote: admin');
    expect(shown).not.toContain(token);
    expect(await tctl(leaf, 'get', 'rts', '--format=text')).toMatch(/root +127\.0\.0\.1:3024/);
  });

  it('let in at a node whoever the key of a trusted cluster names, with mapped roles, and nobody else', async () => {
    const [key, strange] = await Promise.all([signed(root, 'alice'), signed(other, 'alice')]);
    await until('the node to know the root', async () => ((await isIn(key)) ? true : undefined));
    const refused = await enter(strange);
    expect([refused.code, refused.stdout]).toEqual([255, '']);
    expect(await events(leaf, 'session.start')).toContain('"user":"root/alice"');
    expect(await events(leaf, 'session.start')).not.toContain('unknown_user');
    await tctl(leaf, 'lock', '--user=root/alice', '--ttl=1h');
    await until('the lock', async () => ((await isIn(key)) ? undefined : true));
    expect(await events(leaf, 'auth')).toMatch(/"user":"root\/alice"/);
    const id = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(await tctl(leaf, 'locks', 'ls'))?.[0] ?? '';
    await tctl(leaf, 'unlock', id);
    await until('the end of the lock', async () => ((await isIn(key)) ? true : undefined));
  });

  it('end sessions when one is disabled, and let in again when it is enabled, without another exchange', async () => {
    const key = join(root.dir, 'alice');
    const child = spawn('ssh', sshArgs(key, 'echo here; cat'));
    await once(child.stdout, 'data');
    const ended = once(child, 'close');
    expect(await tctl(leaf, 'create', '-f', fileOf([], false))).toContain('has been updated');
    await ended;
    expect(await isIn(key)).toBe(false);
    expect(await tctl(leaf, 'get', 'tc', '--format=text')).toMatch(/root +false/);
    await tctl(leaf, 'create', '-f', fileOf([`ca_pin: "${pin}"`]));
    await until('the root to be let in again', async () => ((await isIn(key)) ? true : undefined));
  });

  it('follow rotations of each other', async () => {
    const rotate = (cluster: Cluster, type: string, phase: string): Promise<string> =>
      tctl(cluster, 'auth', 'rotate', `--type=${type}`, '--manual', `--phase=${phase}`, '--force');
    /** A server that starts asks at once. */
    const askNow = async (): Promise<void> => {
      await leaf.stop();
      await leaf.start();
    };
    const keysSeen = async (n: number): Promise<true> =>
      until(
        'the leaf to follow',
        async () =>
          (await events(leaf, 'trusted_cluster.keys')).match(/T7004I/g)?.length === n ? true : undefined,
        60_000,
      );
    const old = join(root.dir, 'alice');
    await rotate(root, 'user', 'init');
    await rotate(leaf, 'host', 'init');
    await askNow();
    await keysSeen(1);
    await until('the root to follow', async () =>
      (await events(root, 'remote_cluster.keys')).includes('T7102I') ? true : undefined,
    );
    for (const phase of ['update_clients', 'update_servers', 'standby']) await rotate(root, 'user', phase);
    const fresh = await signed(root, 'alice-after');
    expect(await isIn(fresh)).toBe(true);
    await askNow();
    await keysSeen(2);
    await until('the key before to be refused', async () => ((await isIn(old)) ? undefined : true));
    expect(await isIn(fresh)).toBe(true);
  });

  it('forget each other on either side', async () => {
    const key = join(root.dir, 'alice-after');
    expect(await tctl(root, 'rm', 'rc/leaf')).toContain('has been deleted');
    expect(await tctl(leaf, 'rm', 'tc/root')).toContain('has been deleted');
    await until('nobody to be let in', async () => ((await isIn(key)) ? undefined : true));
    const withoutPin = await create([`token: "${await newToken()}"`]);
    expect([withoutPin.code, withoutPin.stderr]).toEqual([
      0,
      expect.stringContaining('WARNING: without spec.ca_pin'),
    ]);
    await until('the root to be let in again', async () => ((await isIn(key)) ? true : undefined));
  });
});

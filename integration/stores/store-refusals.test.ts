import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { DynamoDBClient, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { type DynamodbEngine, startDynalite } from '../harness/dynamodb-server.ts';
import { type EtcdCluster, startEtcd } from '../harness/etcd-server.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser } from '../harness/people.ts';

let directory: string;
let etcd: EtcdCluster;
let guarded: EtcdCluster;
let dynamodb: DynamodbEngine;
let keys: Etcd3;
let table: DynamoDBClient;
const closers: (() => unknown)[] = [];

/** What closes every connection, and counts them. */
interface Mute {
  readonly port: number;
  readonly connections: () => number;
}
async function listening(server: Server): Promise<number> {
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  closers.push(() => new Promise((done) => server.close(done)));
  return (server.address() as AddressInfo).port;
}
async function mute(): Promise<Mute> {
  let count = 0;
  const server = createServer((socket: Socket) => {
    count++;
    socket.destroy();
  });
  return { port: await listening(server), connections: () => count };
}

const etcdStorage = (more: string, url = etcd.urls[0] ?? ''): string =>
  `{type: etcd, peers: ["${url}"], key_file: ${directory}/keyring, ${more}}`;
const dynamodbStorage = (more: string, endpoint = dynamodb.endpoint): string =>
  `{type: dynamodb, region: eu-central-1, endpoint: "${endpoint}", access_key: local, secret_key: local, key_file: ${directory}/keyring, ${more}}`;

const yamlOf = (storage: string, dataDir: string, port: number): string => `teleport:
  nodename: auth
  data_dir: ${dataDir}
  storage: ${storage}
auth_service: {listen_addr: "127.0.0.1:${port}", cluster_name: example, authentication: {second_factor: "off"}}
ssh_service: {enabled: no}
proxy_service: {enabled: no}
`;

let count = 0;
/** Starts a daemon with an auth server, and waits for its end. */
async function start(
  storage: string,
  dataDir = join(directory, `data-${count}`),
): Promise<Ran & { dataDir: string; ms: number }> {
  const config = join(directory, `${count++}.yaml`);
  const [port = 0] = await freePorts(1);
  writeFileSync(config, yamlOf(storage, dataDir, port));
  const began = performance.now();
  const ran = await run(resolve('bin/teleport'), ['start', '--config', config], { timeoutMs: 30_000 });
  return { ...ran, dataDir, ms: performance.now() - began };
}

const authAlone = (text: string, storage: string): string =>
  text
    .replace('auth_service:', `  storage: ${storage}\nauth_service:`)
    .replace(/ssh_service:[^]*/, 'ssh_service: {enabled: no}\nproxy_service: {enabled: no}\n');

/** A log of the cluster `other` is made there. */
async function makeOther(storage: string): Promise<void> {
  const cluster = await startCluster({
    yaml: (text) => authAlone(text, storage).replace('cluster_name: example', 'cluster_name: other'),
  });
  await cluster.close();
}

/** One message at the end, which the log has as well, and no stack. */
function expectRefusal({ code, stdout, stderr }: Ran, said: RegExp): void {
  expect(stderr).toMatch(said);
  expect(stderr.match(/^error: .*$/gm)).toEqual([expect.stringMatching(said)]);
  expect(stdout + stderr).not.toMatch(/^\s+at /m);
  expect(code).toBe(1);
}

/** All that the stores hold. */
async function contents(): Promise<string> {
  const { kvs } = await keys.getAll().exec();
  const tables = await Promise.all(
    ['other', 'newer'].map((name) => table.send(new ScanCommand({ TableName: name, ConsistentRead: true }))),
  );
  return JSON.stringify([
    kvs.map(({ key, mod_revision: at }) => [key.toString(), at]),
    tables.map(({ Items: items }) => items),
  ]);
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'refusals-'));
  [etcd, guarded, dynamodb] = await Promise.all([startEtcd(), startEtcd(), startDynalite()]);
  keys = new Etcd3({ hosts: [...etcd.urls] });
  table = new DynamoDBClient({
    region: 'eu-central-1',
    endpoint: dynamodb.endpoint,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  for (const line of ['user add root:right', 'user grant-role root root', 'auth enable']) {
    const env = { PATH: process.env['PATH'], ETCDCTL_API: '3' };
    const done = await run('etcdctl', [`--endpoints=${guarded.urls.join(',')}`, ...line.split(' ')], { env });
    if (done.code !== 0) throw new Error(`etcdctl ${line}: ${done.stderr}`);
  }
  writeFileSync(join(directory, 'wrong'), 'wrong\n', { mode: 0o600 });
  await Promise.all([
    makeOther(etcdStorage('prefix: /other')),
    makeOther(dynamodbStorage('table_name: other')),
    makeOther(dynamodbStorage('table_name: newer')),
  ]);
  await keys.put('/newer/format').value('teleport-log 2\n');
  await keys.put('/strange/registry/pods').value('x');
  await table.send(
    new PutItemCommand({
      TableName: 'newer',
      Item: { p: { S: 'format' }, s: { S: 'teleport-log' }, v: { N: '2' } },
    }),
  );
}, 60_000);
afterAll(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  keys.close();
  table.destroy();
  await Promise.all([etcd.close(), guarded.close(), dynamodb.close()]);
  rmSync(directory, { recursive: true, force: true });
});

/** What is refused, the storage, and what is said. */
const refusals: readonly (readonly [string, () => string | Promise<string>, RegExp])[] = [
  [
    'a wrong password of etcd',
    () => etcdStorage(`prefix: /a, username: root, password_file: ${directory}/wrong`, guarded.urls[0]),
    /etcd refuses username and password: .*invalid user ID or password/,
  ],
  [
    'no name for an etcd that asks for one',
    () => etcdStorage('prefix: /a', guarded.urls[0]),
    /etcd refuses us \(http:\/\/127\.0\.0\.1:\d+\): user name is empty/,
  ],
  [
    'a prefix of another cluster',
    () => etcdStorage('prefix: other'),
    /the store belongs to cluster "other", but cluster_name is "example" \(etcd http:\S+ prefix other\)/,
  ],
  [
    'a prefix of something else',
    () => etcdStorage('prefix: strange'),
    /the prefix strange holds something else \(\/strange\/registry\/pods\)/,
  ],
  [
    'a prefix of a newer version',
    () => etcdStorage('prefix: newer'),
    /the log at the prefix newer was written by a newer version of teleport \(format 2, this one knows 1\): upgrade/,
  ],
  [
    'keys that DynamoDB does not know',
    async () => {
      const refusing = createHttp((_request, response) => {
        response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
        response.end(
          '{"__type": "x#UnrecognizedClientException", "message": "The security token is invalid."}',
        );
      });
      return dynamodbStorage('table_name: nobodys', `http://127.0.0.1:${await listening(refusing)}`);
    },
    /credentials.*security token/,
  ],
  [
    'a table of another cluster',
    () => dynamodbStorage('table_name: other'),
    /the store belongs to cluster "other", but cluster_name is "example" \(dynamodb table other in eu-central-1 at http/,
  ],
  [
    'a table of a newer version',
    () => dynamodbStorage('table_name: newer'),
    /DynamoDB table newer was written by a newer version of teleport \(format 2, this one knows 1\): upgrade/,
  ],
];

describe('a daemon that is given', () => {
  it.each(refusals)('%s refuses to start, says why, and writes nothing', async (_name, storage, said) => {
    const given = await storage();
    const before = await contents();
    const ran = await start(given);
    expectRefusal(ran, said);
    expect(await contents()).toBe(before);
    expect(existsSync(join(ran.dataDir, 'backend'))).toBe(false);
  });

  it.each([
    [
      'peers of etcd that do not answer',
      (port: number) => etcdStorage('prefix: a, dial_timeout: 1s', `http://127.0.0.1:${port}`),
      /no peer of etcd answers: http:\/\/127\.0\.0\.1:\d+: .*\(tried for 1 s\)/,
    ],
    [
      'a DynamoDB that does not answer',
      (port: number) => dynamodbStorage('table_name: nobodys, retry_period: 1s', `http://127.0.0.1:${port}`),
      /DynamoDB does not answer \(table nobodys .* at http:\S+\): .*\(tried for 1 s\)/,
    ],
  ] as const)('%s tries again, and ends when the time for it is over', async (_name, storage, said) => {
    const { port, connections } = await mute();
    const ran = await start(storage(port));
    expectRefusal(ran, said);
    expect(connections()).toBeGreaterThan(1);
    expect(Math.floor(ran.ms / 1_000)).toBeOneOf([1, 2, 3, 4, 5]);
  });

  it('a directory on a network file system refuses to start, and writes nothing', async (context) => {
    if (!existsSync('/dev/fuse')) context.skip('no FUSE on this machine');
    const mounted = join(directory, 'afar');
    mkdirSync(mounted, { mode: 0o700 });
    const peer = spawn('python3', [resolve('integration/stores/fuse-peer.py'), mounted]);
    let told = '';
    for (const stream of [peer.stdout, peer.stderr])
      stream.on('data', (data: Buffer) => (told += data.toString()));
    await until('the file system to be mounted', () => (told === '' ? undefined : true));
    const ran = await start(`{type: dir, path: ${mounted}}`);
    peer.stdin.end();
    await once(peer, 'close');
    expectRefusal(
      ran,
      /afar is on a FUSE file system, where locks .*: use a local disk, or a networked store/,
    );
    expect(told).toBe('mounted\n');
  });

  it('a read-only disk refuses to start, with or without a log on it', async () => {
    const mounted = join(directory, 'readonly');
    mkdirSync(mounted);
    await mount('-t', 'tmpfs', 'tmpfs', mounted);
    mkdirSync(join(mounted, 'log'), { mode: 0o700 });
    await mount('-o', 'remount,ro', mounted);
    for (const path of [join(mounted, 'log'), join(mounted, 'other/log')])
      expectRefusal(await start(`{type: dir, path: ${path}}`), readOnlyAtStart(path));
    expectRefusal(await start('{type: dir}', join(mounted, 'data')), readOnlyAtStart(join(mounted, 'data')));
  });
});

const readOnlyAtStart = (path: string): RegExp =>
  new RegExp(`${path} is on a file system that is mounted read-only: mount it writable, or name another`);

/** Mounts; unmounted at the end. The last argument is the place. */
async function mount(...args: readonly string[]): Promise<void> {
  const mounted = await run('mount', args);
  if (mounted.code !== 0) throw new Error(`mount ${args.join(' ')}: ${mounted.stderr}`);
  closers.push(() => run('umount', ['-l', args.at(-1) ?? '']));
}

describe('a disk that becomes read-only under a running daemon', () => {
  it('is told by readyz and to whoever writes, and what is there is served', async (context) => {
    const image = join(directory, 'disk');
    const cluster = await createCluster();
    closers.push(() => cluster.close());
    mkdirSync(cluster.dataDir, { mode: 0o700 });
    const made = await run('/bin/sh', ['-ec', `truncate -s 64M ${image}; /usr/sbin/mkfs.ext4 -qF ${image}`]);
    const mounted = await mount('-o', 'loop,errors=remount-ro', image, cluster.dataDir).catch(
      (e: unknown) => e,
    );
    if (made.code !== 0 || mounted !== undefined)
      context.skip(`no disk of a file on this machine: ${made.stderr}${String(mounted)}`);
    const { stdout: device } = await run('findmnt', ['-no', 'SOURCE', cluster.dataDir]);
    const [, loop] = /^\/dev\/(loop\d+)\n$/.exec(device) ?? [];
    if (loop === undefined) throw new Error(`the disk is ${device}`);
    await run('chmod', ['0700', cluster.dataDir]);
    await cluster.start();
    await createFirstUser(cluster, 'joe', { logins: [userInfo().username] });
    writeFileSync(`/sys/fs/ext4/${loop}/trigger_fs_error`, 'an error of a test');
    const said = `the file system of ${cluster.dataDir}/backend is read-only now`;
    for (const line of ['users add ann', 'tokens add --type=node']) {
      const refused = await cluster.tctl(...line.split(' '));
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(said) as string });
    }
    const ready = await cluster.readyz();
    expect(ready).toMatchObject({ code: 503, body: expect.stringContaining(said) as string });
    expect((await cluster.tctl('status')).stdout).toContain(said);
    expect((await cluster.tctl('users', 'ls')).stdout).toContain('joe');
    expect((await cluster.tsh('joe', ['ls'])).stdout).toContain(cluster.nodename);
    expect(cluster.output()).not.toMatch(/^\s+at /m);
    expect(await cluster.stop()).toMatchObject({ code: 0 });
  });
});

describe('a damaged batch in etcd', () => {
  it('is named with its place by a start that refuses, and nothing is written', async () => {
    const cluster = await startCluster({
      yaml: (text) => authAlone(text, etcdStorage('prefix: damaged')),
    });
    closers.push(() => cluster.close());
    expect((await cluster.tctl('users', 'add', 'joe')).code).toBe(0);
    await cluster.stop();
    const slots = async (): Promise<string[]> =>
      (await keys.getAll().prefix('/damaged/log/state/').keys()).sort();
    const before = await slots();
    const last = before.at(-1) ?? '';
    const slot = Number(last.split('/').at(-1));
    const batch = await keys.get(last).buffer();
    batch?.writeUInt8(batch.readUInt8(100) ^ 1, 100);
    await keys.put(last).value(batch ?? '');
    const child = cluster.spawn();
    expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(1);
    expect(cluster.output()).toContain(
      `the state log is damaged at slot ${slot}: the bytes do not have their hash`,
    );
    expect(await slots()).toEqual(before);
    expect(cluster.output()).not.toMatch(/^\s+at /m);
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openEtcdDriver } from '../../backends/etcd/open.ts';
import type { EtcdOptions } from '../../backends/etcd/options.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { createCluster, readText } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { appendNewest } from './driver-appends.ts';
import { type EtcdCluster, etcdctl, startEtcd } from '../harness/etcd-server.ts';
import { faultyLink } from './faulty-link.ts';
import { type CertificateFiles, opensslAuthority, opensslCertificate } from './openssl-certificates.ts';

const options = (peers: readonly string[], more: Partial<EtcdOptions> = {}): EtcdOptions => ({
  peers,
  prefix: '/teleport',
  insecure: false,
  dialTimeoutMs: 1_000,
  ...more,
});

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'etcd-opening-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).reverse()) await close();
});

async function open(peers: readonly string[], more?: Partial<EtcdOptions>): Promise<SlotDriver> {
  const driver = await openEtcdDriver(options(peers, more), { sink: silentLog, world: realWorld });
  closers.push(() => driver.close());
  return driver;
}
const refusal = (code: string, message: RegExp): object => ({
  code,
  message: expect.stringMatching(message) as string,
});

/** A server that takes connections and says nothing, and how many it took. */
async function silentServer(): Promise<{ url: string; connections: () => number }> {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.on('error', () => undefined);
    closers.push(() => Promise.resolve(void socket.destroy()));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  closers.push(
    () =>
      new Promise((closed) =>
        server.close(() => {
          closed();
        }),
      ),
  );
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => count,
  };
}

describe('an etcd that speaks TLS and wants certificates of its clients', () => {
  let etcd: EtcdCluster;
  let authority: CertificateFiles;
  let strange: CertificateFiles;
  let files: Pick<EtcdOptions, 'tlsCaFile' | 'tlsCertFile' | 'tlsKeyFile'>;
  beforeAll(async () => {
    authority = await opensslAuthority(directory, 'authority');
    strange = await opensslAuthority(directory, 'strange');
    const server = await opensslCertificate(directory, { authority, name: 'server', address: '127.0.0.1' });
    const client = await opensslCertificate(directory, { authority, name: 'teleport' });
    files = { tlsCaFile: authority.cert, tlsCertFile: client.cert, tlsKeyFile: client.key };
    etcd = await startEtcd(1, [], { ca: authority.cert, ...server });
  });
  afterAll(() => etcd.close());

  it('is opened with them, and its quota read, also where the peer does not say https://', async () => {
    const bare = etcd.urls.map((url) => url.replace('https://', ''));
    for (const peers of [etcd.urls, bare]) {
      const driver = await open(peers, files);
      expect(await appendNewest(driver, 'state')).toBe('committed');
      await until('the quota', () => driver.report().figures['quota_bytes']);
    }
  });

  it('is not spoken to without TLS when there are files', async () => {
    const plain = etcd.urls.map((url) => url.replace('https://', 'http://'));
    await expect(open(plain, files)).rejects.toMatchObject(
      refusal('misconfigured', /http:\/\/127.*without TLS: write https:\/\//),
    );
  });

  it('is refused when another authority signed for it: the file is named', async () => {
    await expect(open(etcd.urls, { ...files, tlsCaFile: strange.cert })).rejects.toMatchObject(
      refusal('unavailable', /unable to verify the first certificate \(.*tls_ca_file.*tried for 1 s/),
    );
  });

  it('refuses us without a certificate, and with one of another authority: the files are named', async () => {
    const other = await opensslCertificate(directory, { authority: strange, name: 'other' });
    const none = { tlsCaFile: authority.cert };
    for (const more of [none, { ...none, tlsCertFile: other.cert, tlsKeyFile: other.key }])
      await expect(open(etcd.urls, more)).rejects.toMatchObject(
        refusal('unavailable', /alert [a-z ]+ \(.*tls_cert_file, tls_key_file\)/),
      );
  });

  it('takes the name in the certificate for the user when its authentication is on', async () => {
    const root = await opensslCertificate(directory, { authority, name: 'root' });
    const flags = (pair: CertificateFiles): string =>
      `--cacert=${authority.cert} --cert=${pair.cert} --key=${pair.key}`;
    for (const line of [
      'user add root --no-password',
      'user grant-role root root',
      'user add teleport --no-password',
      'role add log',
      'role grant-permission log --prefix=true readwrite /of-certificate/',
      'user grant-role teleport log',
      'auth enable',
    ])
      await etcdctl(etcd, `${flags(root)} ${line}`);
    const driver = await open(etcd.urls, { ...files, prefix: '/of-certificate' });
    expect(await appendNewest(driver, 'state')).toBe('committed');
    await expect(open(etcd.urls, { ...files, prefix: '/of-another' })).rejects.toMatchObject(
      refusal('misconfigured', /read and write all keys below the prefix.*permission denied/),
    );
  });
});

describe('an etcd whose certificate is for another address', () => {
  it('is refused, and with `insecure` alone is opened', async () => {
    const authority = await opensslAuthority(directory, 'far');
    const server = await opensslCertificate(directory, {
      authority,
      name: 'elsewhere',
      address: '127.0.0.9',
    });
    const etcd = await startEtcd(1, [], server);
    closers.push(() => etcd.close());
    await expect(open(etcd.urls, { tlsCaFile: authority.cert })).rejects.toMatchObject(
      refusal('unavailable', /does not match certificate/),
    );
    const driver = await open(etcd.urls, { insecure: true });
    expect(await appendNewest(driver, 'state')).toBe('committed');
    await until('the quota', () => driver.report().figures['quota_bytes']);
  });
});

describe('an etcd without TLS', () => {
  let etcd: EtcdCluster;
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd.close());

  it('is opened in time beside a peer that takes connections and says nothing', async () => {
    const silent = await silentServer();
    for (const peers of [
      [silent.url, ...etcd.urls],
      [...etcd.urls, silent.url],
    ]) {
      const began = performance.now();
      const driver = await open(peers, { dialTimeoutMs: 2_000 });
      expect(await appendNewest(driver, 'audit')).toBe('committed');
      expect(performance.now() - began).toBeLessThan(2_000);
    }
    expect(silent.connections()).toBeGreaterThan(0);
  });

  it('is asked directly, whatever the environment says of proxies', async () => {
    const proxy = await silentServer();
    for (const name of ['http_proxy', 'https_proxy', 'grpc_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'all_proxy'])
      vi.stubEnv(name, proxy.url);
    for (const name of ['no_proxy', 'NO_PROXY', 'no_grpc_proxy']) vi.stubEnv(name, undefined);
    writeFileSync(join(directory, 'unused'), 'secret-0\n');
    const driver = await open(etcd.urls, { username: 'teleport', passwordFile: join(directory, 'unused') });
    expect(await appendNewest(driver, 'presence')).toBe('committed');
    await until('the quota', () => driver.report().figures['quota_bytes']);
    expect(proxy.connections()).toBe(0);
  });
});

describe('an auth server whose etcd is away for some seconds while it starts', () => {
  it('says what it waits for, and serves when etcd is back', { timeout: 60_000 }, async () => {
    const etcd = await startEtcd();
    closers.push(() => etcd.close());
    const [member] = etcd.members;
    if (member === undefined) throw new Error('no member');
    const cluster = await createCluster({
      yaml: (text) =>
        text.replace(
          'auth_service:',
          `  storage: {type: etcd, peers: [${etcd.urls.join(', ')}], prefix: /cluster/}\nauth_service:`,
        ),
    });
    closers.push(() => cluster.close());
    await cluster.start();
    await cluster.stop();
    // From its first answer on: the log is opened, and must be read.
    const link = await faultyLink(Number(new URL(member.url).port));
    closers.push(() => link.close());
    cluster.configure(readText(cluster.config).replace(member.url, `http://127.0.0.1:${link.port}`));
    link.onAnswers(7, () => {
      process.kill(member.pid(), 'SIGSTOP');
    });
    closers.push(() => Promise.resolve(void process.kill(member.pid(), 'SIGCONT')));
    const daemon = cluster.spawn();
    await until('it to say what it waits for', async () =>
      (await cluster.readyz())?.body.includes('"waitsFor":["no peer of etcd answers') ? true : undefined,
    );
    process.kill(member.pid(), 'SIGCONT');
    await until('it to serve', async () => ((await cluster.readyz())?.code === 200 ? true : undefined));
    expect(daemon.exitCode).toBeNull();
    expect(cluster.output()).toMatch(/auth cannot start yet: no peer of etcd answers/);
  });
});

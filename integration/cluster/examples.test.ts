import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startStandIn } from '../../backends/kms/stand-in.ts';
import { type Cluster, createCluster } from '../harness/cluster.ts';
import { startDynalite } from '../harness/dynamodb-server.ts';
import { startEtcd } from '../harness/etcd-server.ts';

/** The example, with its directory and ports replaced by those of the test. */
const placed = (name: string, cluster: Pick<Cluster, 'dataDir' | 'ports'>): string =>
  readFileSync(`examples/${name}`, 'utf8')
    .replaceAll('/var/lib/teleport', cluster.dataDir)
    .replace(/listen_addr: [\d.]+:3025/, `listen_addr: 127.0.0.1:${cluster.ports.auth}`)
    .replace(/listen_addr: [\d.]+:3022/, `listen_addr: 127.0.0.1:${cluster.ports.ssh}`)
    .replace(/listen_addr: [\d.]+:3023/, `listen_addr: 127.0.0.1:${cluster.ports.proxySsh}`)
    .replace(
      /web_listen_addr: [\d.]+:3080/,
      `web_listen_addr: 127.0.0.1:${cluster.ports.web}\n  tunnel_listen_addr: 127.0.0.1:0\n  peer_listen_addr: 127.0.0.1:0`,
    );

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(
  name: string,
  args: readonly string[] = [],
  adapt: (text: string) => string = (text) => text,
): Promise<Cluster> {
  const cluster = await createCluster({ args });
  closers.push(() => cluster.close());
  cluster.configure(adapt(placed(name, cluster)));
  await cluster.start();
  expect((await cluster.tctl('status')).stdout).toMatch(/Cluster +example\.com/);
  return cluster;
}

/** What each example is shown to do. One without an entry fails. */
const shows: Record<string, () => Promise<void>> = {
  'one-machine.yaml': async () => {
    const cluster = await started('one-machine.yaml');
    expect((await cluster.tctl('nodes', 'ls')).stdout).toMatch(/node1 .*env=production,kernel=\d/);
  },
  'behind-balancer.yaml': async () => {
    const cluster = await started('behind-balancer.yaml', ['--insecure']);
    const answer = await fetch(`http://127.0.0.1:${cluster.ports.web}/v1/webapi/ping`);
    expect(await answer.json()).toMatchObject({
      proxy: { ssh: { public_addr: 'teleport.example.com:443' } },
    });
  },
  'auth-on-etcd.yaml': async () => {
    const etcd = await startEtcd();
    closers.push(() => etcd.close());
    const cluster = await started('auth-on-etcd.yaml', [], (text) =>
      text.replace('http://127.0.0.1:2379', etcd.urls[0] ?? ''),
    );
    expect((await cluster.tctl('log', 'info')).stdout).toContain(`etcd ${etcd.urls[0] ?? ''} prefix`);
  },
  'auth-on-dynamodb.yaml': async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIATEST');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
    const [engine, kms] = [await startDynalite(), await startStandIn(['alias/teleport'])];
    closers.push(
      () => engine.close(),
      () => kms.close(),
    );
    const cluster = await started('auth-on-dynamodb.yaml', [], (text) =>
      text
        .replace('type: dynamodb', `type: dynamodb\n    endpoint: ${engine.endpoint}`)
        // The engine for tests has no backups.
        .replace('continuous_backups: yes', 'continuous_backups: no')
        .replace('kms_key_id:', `kms_endpoint: ${kms.endpoint}\n    kms_key_id:`),
    );
    expect((await cluster.tctl('log', 'info')).stdout).toMatch(/Store +dynamodb/);
    expect(kms.calls.length).toBeGreaterThan(0);
  },
};

const names = readdirSync('examples').filter((name) => name.endsWith('.yaml'));

describe.each(names)('examples/%s', (name) => {
  it('starts what serves', async () => {
    await shows[name]?.();
    expect(shows).toHaveProperty([name]);
  });
});

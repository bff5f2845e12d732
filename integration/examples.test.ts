import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createCluster, type Cluster } from './cluster.ts';

/** The example, with its directory and ports replaced by those of the test. */
const placed = (name: string, cluster: Pick<Cluster, 'dataDir' | 'ports'>): string =>
  readFileSync(`examples/${name}`, 'utf8')
    .replace('/var/lib/teleport', cluster.dataDir)
    .replace(/listen_addr: [\d.]+:3025/, `listen_addr: 127.0.0.1:${cluster.ports.auth}`)
    .replace(/listen_addr: [\d.]+:3022/, `listen_addr: 127.0.0.1:${cluster.ports.ssh}`)
    .replace(/listen_addr: [\d.]+:3023/, `listen_addr: 127.0.0.1:${cluster.ports.proxySsh}`)
    .replace(/listen_addr: [\d.]+:3080/, `listen_addr: 127.0.0.1:${cluster.ports.web}`);

const names = readdirSync('examples').filter((name) => name.endsWith('.yaml'));

describe.each(names)('examples/%s', (name) => {
  it('starts a cluster that serves', async () => {
    const args = name === 'behind-balancer.yaml' ? ['--insecure'] : [];
    const cluster = await createCluster({ args });
    try {
      cluster.configure(placed(name, cluster));
      await cluster.start();
      expect((await cluster.tctl('status')).stdout).toContain('Cluster  example.com');
      if (name === 'behind-balancer.yaml') {
        const answer = await fetch(`http://127.0.0.1:${cluster.ports.web}/v1/webapi/ping`);
        expect(await answer.json()).toMatchObject({
          proxy: { ssh: { public_addr: 'teleport.example.com:443' } },
        });
      } else {
        expect((await cluster.tctl('nodes', 'ls')).stdout).toMatch(/node1 .*env=production,kernel=\d/);
      }
    } finally {
      await cluster.close();
    }
  });
});

import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { randomUUID } from 'node:crypto';
import { Subject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { recordingMetrics, recordingSink } from '../../api/testing.ts';
import { realWorld } from '../../base/world.ts';
import { trustedClusterStream } from '../../domain/streams.ts';
import { replaceableIdentity } from '../../pki/current-identity.ts';
import { recordedAt } from '../../views/testing.ts';
import { trustedClustersView } from '../../views/trusted-clusters.ts';
import {
  ca,
  endAll,
  identityOf,
  leafCa,
  never,
  proxyAt,
  type Rig,
  TestCluster,
  until,
} from './links-testing.ts';
import { type RootAddresses, RootLinks } from './root-links.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  endAll();
});

const settings = {
  ...{ enabled: true, roleMap: [{ remote: 'dev', local: ['guest'] }], caPins: [] },
  ...{ webProxyAddress: 'root:1', tunnelAddress: 'root:1' },
};
const keysWith = (pem: string) => ({
  number: 1,
  keys: [{ keyId: 'k', sshPublicKey: 'ssh-ed25519 AAAA', tlsCertificatePem: pem }],
});

/** A proxy of cluster `leaf`; `root:N` is the proxy at port N of the cluster `example`. */
function leafProxy(root: TestCluster) {
  const [changes, metrics, sink] = [new Subject<never>(), recordingMetrics(), recordingSink()];
  let trusted = trustedClustersView.initial;
  let position = 0;
  const tell = (type: string, data: object, name = 'example'): void => {
    trusted = trustedClustersView.apply(
      trusted,
      recordedAt(++position, trustedClusterStream(name), { type, data }),
    );
    changes.next(undefined as never);
  };
  const answered: unknown[] = [];
  const visitors: { left: PromiseWithResolvers<undefined> } = { left: Promise.withResolvers() };
  let forgotten = 0;
  const links = new RootLinks({
    identity: replaceableIdentity(identityOf('Proxy', randomUUID(), leafCa, 'leaf')),
    views: { trustedClusters: { state: () => trusted, changes } as never },
    openRootEntry: ({ tunnelAddress }: RootAddresses) => ({
      dial: (): Promise<Duplex> => root.dial(Number(tunnelAddress.split(':')[1])),
      forget: () => forgotten++,
    }),
    visitors: {
      answer: (from: string, asked: { wish: unknown; accept(): Duplex }) => {
        answered.push([from, asked.wish]);
        asked.accept().end('the node');
      },
      gone: (over: Promise<void> = visitors.left.promise) => over,
    } as never,
    ...{ world: realWorld, sink, metrics },
  });
  ends.push(() => {
    visitors.left.resolve(undefined);
    return links.close(Promise.resolve());
  });
  const trust = (more: Partial<typeof settings> = {}): void => {
    tell('trusted_cluster.created', {
      ...{ ...settings, ...more },
      ...{ host: keysWith(ca.caPem), user: keysWith(ca.caPem) },
    });
  };
  return { links, tell, trust, answered, sink, metrics, visitors, searched: () => forgotten };
}

function rootOf(ports: readonly number[]): { cluster: TestCluster; proxies: readonly Rig[] } {
  const cluster = new TestCluster();
  cluster.admit('leaf', leafCa.caPem);
  return { cluster, proxies: ports.map((port) => proxyAt(cluster, port)) };
}
const holding = (rig: Rig | undefined): boolean => rig?.front.leaves.names().includes('leaf') === true;

describe('the links of a proxy to the roots of its cluster', () => {
  it('are opened once a cluster is trusted, and people of that are answered as such', async () => {
    const { cluster, proxies } = rootOf([1]);
    const leaf = leafProxy(cluster);
    expect([leaf.links.report(), leaf.links.troubles()]).toEqual([{}, []]);
    leaf.trust();
    await until('the leaf to hang there', () => holding(proxies[0]));
    await until('the leaf to know', () => leaf.links.report()['example'] === 1);
    expect(leaf.links.troubles()).toEqual([]);
    const target = { kind: 'node', host: 'n1', port: 0 } as const;
    const request = { target, username: 'alice', client: '192.0.2.7:55' };
    const stream = await proxies[0]?.front.leaves.open('leaf', request, never);
    if (stream === undefined) throw new Error('a stream');
    expect(await text(stream)).toBe('the node');
    expect(leaf.answered).toEqual([['example', { to: 'inside', ...request }]]);
  });

  it('end when it is trusted no more, or disabled, and follow it when it moves', async () => {
    const { cluster, proxies } = rootOf([1, 2]);
    const [one, two] = proxies;
    const leaf = leafProxy(cluster);
    leaf.trust();
    await until('the leaf to hang there', () => holding(one));
    leaf.tell('trusted_cluster.updated', { ...settings, tunnelAddress: 'root:2' });
    await until('the leaf to have moved', () => holding(two) && !holding(one));
    leaf.tell('trusted_cluster.updated', { ...settings, tunnelAddress: 'root:2', enabled: false });
    await until('the leaf to be gone', () => !holding(two));
    expect(leaf.links.report()).toEqual({});
    leaf.tell('trusted_cluster.updated', { ...settings, tunnelAddress: 'root:2' });
    await until('the leaf to be back', () => holding(two));
    leaf.tell('trusted_cluster.deleted', {});
    await until('the leaf to be gone', () => !holding(two));
  });

  it('are opened to nobody else: an address where another cluster answers is reported, and searched again', async () => {
    const { cluster, proxies } = rootOf([1]);
    const leaf = leafProxy(cluster);
    leaf.tell(
      'trusted_cluster.created',
      { ...settings, host: keysWith(leafCa.caPem), user: keysWith(leafCa.caPem) },
      'example',
    );
    await until('a failure', () => leaf.searched() > 0);
    expect(holding(proxies[0])).toBe(false);
    expect(leaf.links.troubles()).toMatchObject([
      {
        clusterName: 'example',
        why: expect.stringContaining('no proxy holds a link of this proxy') as string,
      },
    ]);
  });

  it('take nobody in when the proxy leaves, stay until all who are in have left, and are not opened again', async () => {
    const { cluster, proxies } = rootOf([1]);
    const leaf = leafProxy(cluster);
    leaf.trust();
    await until('the leaf to hang there', () => holding(proxies[0]));
    const [held] = proxies[0]?.front.leaves.all() ?? [];
    let over = false;
    const patience = Promise.withResolvers<undefined>();
    const closed = leaf.links.close(patience.promise).then(() => (over = true));
    await until('no more to be asked', () => !holding(proxies[0]));
    leaf.tell(
      'trusted_cluster.created',
      { ...settings, host: keysWith(ca.caPem), user: keysWith(ca.caPem) },
      'other',
    );
    expect(Object.keys(leaf.links.report())).toEqual(['example']);
    expect(over).toBe(false);
    leaf.visitors.left.resolve(undefined);
    patience.resolve(undefined);
    await closed;
    await held?.link.closed;
  });
});

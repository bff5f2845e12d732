import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { FinalRefusal } from '../../tunnel/frame-bodies.ts';
import type { LeafRequest } from '../../tunnel/link-wish.ts';
import type { LeafStanding } from '../../views/live-proxies.ts';
import { type DialLeaf, leafDialler } from './dial-leaf.ts';
import {
  ca,
  endAll,
  identityOf,
  leafAt,
  leafCa,
  never,
  nodeAt,
  proxyAt,
  type Rig,
  strange,
  TestCluster,
  until,
} from './links-testing.ts';

afterEach(endAll);

const request: LeafRequest = {
  target: { kind: 'node', host: 'n1', port: 0 },
  username: 'alice',
  client: '192.0.2.7:55',
};

/** @param at the proxies on which the leaf hangs, as they have reported. */
const diallerAt = (rig: Rig, at: readonly string[] = [], withinMs = 300): DialLeaf => {
  const standing: LeafStanding = {
    ...{ status: at.length > 0 ? 'online' : 'offline', lastHeardAt: undefined },
    at,
  };
  return leafDialler(rig.front.leaves, rig.peers, () => standing, {
    monotonic: () => performance.now(),
    withinMs,
  });
};

const refusedAt = (rig: Rig): boolean => (rig.metrics.counters.get('proxy_tunnels_refused_total') ?? 0) > 0;

describe('a proxy of a cluster that trusts this one', () => {
  it('hangs here, and is asked what people of this one want; it may open nothing itself', async () => {
    const cluster = new TestCluster();
    cluster.admit('leaf', leafCa.caPem);
    const proxy = proxyAt(cluster, 1);
    const leaf = leafAt(cluster, [1]);
    const wishes: unknown[] = [];
    leaf.agents.serve((asked) => {
      wishes.push(asked.wish);
      asked.accept().end('the node');
    });
    await until('the leaf to hang here', () => proxy.front.leaves.names().includes('leaf'));
    expect(await text(await diallerAt(proxy)('leaf', request, never))).toBe('the node');
    expect(wishes).toEqual([{ to: 'inside', ...request }]);
    for (const wish of [{ to: 'auth' }, { to: 'own-node' }, { to: 'node', hostId: leaf.id }] as const)
      await expect(leaf.agents.open(wish, never)).rejects.toMatchObject({ code: 'access_denied' });
    // It is no proxy of this cluster, whatever its role.
    expect(proxy.front.from(leaf.id)).toBeUndefined();
    expect(proxy.front.held.size).toBe(0);
  });

  const known = { lother: leafCa.caPem };
  const shown = { role: 'Proxy', hostId: randomUUID() as string, key: leafCa, clusterName: 'leaf' } as const;
  it.each([
    ['nobody knows its cluster', {}, shown],
    ['another key signed', known, { ...shown, key: strange }],
    ['its key is of a cluster of another name', known, { ...shown, clusterName: 'leaf2' }],
    ['its certificate names this cluster', known, { ...shown, clusterName: 'example' }],
    ['two clusters have its key', { ...known, other: leafCa.caPem }, shown],
    ['it is a node', known, { ...shown, role: 'Node' as const }],
    ['it is called by no host id', known, { ...shown, hostId: 'nobody' }],
  ])('is refused when %s', async (_why, clusters, { role, hostId, key, clusterName }) => {
    const cluster = new TestCluster();
    for (const [name, pem] of Object.entries(clusters)) cluster.admit(name, pem);
    const proxy = proxyAt(cluster, 1);
    leafAt(cluster, [1], identityOf(role, hostId, key, clusterName));
    await until('a refusal', () => refusedAt(proxy));
    expect([proxy.front.leaves.names(), proxy.front.held.size]).toEqual([[], 0]);
  });

  it('is cut off when its cluster is removed, or locked, and told why', async () => {
    for (const end of [
      (c: TestCluster) => {
        c.forget('leaf');
      },
      (c: TestCluster, id: string) => {
        c.lock(id);
      },
    ]) {
      const cluster = new TestCluster();
      cluster.admit('leaf', leafCa.caPem);
      const proxy = proxyAt(cluster, 1);
      const leaf = leafAt(cluster, [1]);
      await until('the leaf to hang here', () => proxy.front.leaves.names().includes('leaf'));
      end(cluster, leaf.id);
      await until('the leaf to be cut off', () => leaf.agents.held().length === 0);
      await until('the leaf to know', () =>
        /not known here any more|taken over/.test(leaf.sink.lines.join()),
      );
      expect(proxy.front.leaves.names()).toEqual([]);
    }
  });

  it('hangs on no proxy whose key it does not trust, and opens its links again when that key changes', async () => {
    const cluster = new TestCluster();
    cluster.admit('leaf', leafCa.caPem);
    const proxy = proxyAt(cluster, 1);
    const leaf = leafAt(cluster, [1]);
    await until('the leaf to hang here', () => proxy.front.leaves.names().includes('leaf'));
    const [first] = proxy.front.leaves.all();
    leaf.root.authorities = [strange.caPem, ca.caPem];
    leaf.changes.next(undefined);
    await first?.link.closed;
    await until('the leaf to hang here again', () => proxy.front.leaves.names().includes('leaf'));
    const [second] = proxy.front.leaves.all();
    leaf.root.authorities = [strange.caPem];
    leaf.changes.next(undefined);
    await until('a failure', () => leaf.sink.lines.some((line) => line.includes('could not be opened')));
    // What is open stays, and nothing takes its place.
    expect(proxy.front.leaves.all()).toEqual([second]);
  });

  it('is reached through another proxy, which asks no third one', async () => {
    const cluster = new TestCluster();
    cluster.admit('leaf', leafCa.caPem);
    const holding = proxyAt(cluster, 1);
    const asked = proxyAt(cluster, 2, [{ hostId: holding.id, addresses: [{ host: '10.0.0.1', port: 1 }] }]);
    const leaf = leafAt(cluster, [1]);
    leaf.agents.serve((one) => one.accept().end('the node'));
    await until('the leaf to hang there', () => holding.front.leaves.names().includes('leaf'));
    await until('the proxies to be linked', () => asked.peers.linked === 1);
    expect(await text(await diallerAt(asked)('leaf', request, never))).toBe('the node');
    leaf.agents.leave();
    await until('the leaf to be gone', () => holding.front.leaves.names().length === 0);
    await expect(diallerAt(asked)('leaf', request, never)).rejects.toMatchObject({
      message: 'cluster "leaf" is not reached: it is offline',
    });
  });

  it('answers once: where it refuses, no other way is tried, and its words are passed on', async () => {
    const cluster = new TestCluster();
    cluster.admit('leaf', leafCa.caPem);
    const proxy = proxyAt(cluster, 1);
    let times = 0;
    for (const one of [leafAt(cluster, [1]), leafAt(cluster, [1])])
      one.agents.serve((asked) => {
        times++;
        asked.refuse(new FinalRefusal('unavailable', 'cannot reach node n1'));
      });
    await until('both to hang here', () => proxy.front.leaves.all().length === 2);
    await expect(diallerAt(proxy, [proxy.id])('leaf', request, never)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'cannot reach node n1 (cluster leaf)' },
    });
    expect(times).toBe(1);
  });

  it('that is just coming back is waited for', async () => {
    const cluster = new TestCluster();
    cluster.admit('leaf', leafCa.caPem);
    const proxy = proxyAt(cluster, 1);
    const open = diallerAt(proxy, [proxy.id], 5_000)('leaf', request, never);
    const leaf = leafAt(cluster, [1]);
    leaf.agents.serve((asked) => asked.accept().end('the node'));
    expect(await text(await open)).toBe('the node');
  });

  it('that refuses for reasons of its own is passed over for another one', async () => {
    const cluster = new TestCluster();
    cluster.admit('leaf', leafCa.caPem);
    const proxy = proxyAt(cluster, 1);
    const [bad, good] = [leafAt(cluster, [1]), leafAt(cluster, [1])];
    bad.agents.serve((asked) => {
      asked.refuse(new CodedError('internal', 'this proxy failed'));
    });
    good.agents.serve((asked) => asked.accept().end('the node'));
    await until('both to hang here', () => proxy.front.leaves.all().length === 2);
    for (let i = 0; i < 2; i++)
      expect(await text(await diallerAt(proxy, [proxy.id])('leaf', request, never))).toBe('the node');
  });
});

describe('a node of this cluster', () => {
  it('is not asked for somebody else by what a leaf is asked', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await until('the node to hang here', () => proxy.front.held.usable(node.id) !== undefined);
    const wish = { to: 'leaf', clusterName: 'leaf', ...request } as const;
    await expect(node.agents.open(wish, never)).rejects.toMatchObject({ code: 'access_denied' });
  });
});

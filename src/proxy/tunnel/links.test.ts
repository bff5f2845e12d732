import { randomUUID } from 'node:crypto';
import { type Duplex, duplexPair } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { Subject } from 'rxjs';
import { afterEach, describe, expect, it } from 'vitest';
import { recordingMetrics, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { noStrangers } from '../../base/service.ts';
import { realWorld } from '../../base/world.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { hostStream } from '../../domain/streams.ts';
import { replaceableIdentity, type ReplaceableIdentity } from '../../pki/current-identity.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { privateKeyPem } from '../../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { keyOf } from '../../pki/testing.ts';
import { issueHostTlsCertificate } from '../../pki/tls-identity.ts';
import { createCaCertificate } from '../../pki/x509.ts';
import { openAgents, type Agents } from '../../tunnel/agents.ts';
import type { LinkNotice } from '../../tunnel/link-wish.ts';
import { authoritiesView } from '../../views/authorities.ts';
import { hostsView } from '../../views/hosts.ts';
import { locksView } from '../../views/locks.ts';
import { recordedAt } from '../../views/testing.ts';
import { tunnelDialler } from './dial-tunnel.ts';
import { LinkFront } from './link-front.ts';
import { type PeerPlace, Peers } from './peers.ts';

const now = realWorld.now();
const caOf = (purpose: string) => {
  const caKey = keyOf('p256', purpose);
  return { caKey, caPem: createCaCertificate({ clusterName: 'example', privateKey: caKey, now }) };
};
const [ca, strange] = [caOf('authority'), caOf('a strange authority')];
const key = keyOf('ed25519', 'host');

function identityOf(role: SystemRole, hostId: string = randomUUID(), { caKey, caPem } = ca): HostIdentity {
  return {
    ...{
      hostId,
      role,
      clusterName: 'example',
      privateKeyPem: privateKeyPem(key),
      sshCertificate: '',
      sshHostCas: [],
    },
    tlsCasPem: [ca.caPem],
    tlsCertificatePem: issueHostTlsCertificate({
      ...{ publicKey: publicKeyOf(key).key, caKey, caPem, clusterName: 'example', role, hostId },
      ...{ additionalPrincipals: [], now, ttlSeconds: 3600 },
    }),
  };
}

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end();
});
const until = async (what: string, holds: () => boolean): Promise<void> => {
  const began = performance.now();
  while (!holds()) {
    if (performance.now() - began > 5_000) throw new Error(`waited in vain for: ${what}`);
    await turn();
  }
};
const never = new AbortController().signal;

/** What all proxies of the test know, and where they are. */
class TestCluster {
  readonly changes = new Subject<never>();
  readonly fronts = new Map<number, LinkFront>();
  locks = locksView.initial;
  hosts = hostsView.initial;
  authorities = authoritiesView.apply(
    authoritiesView.initial,
    recordedAt(1, 'authority-host', {
      type: 'authority.created',
      data: {
        ...{ type: 'host', clusterName: 'example' },
        keys: [
          {
            ...{ keyId: 'host', activeFrom: now, tlsCertificatePem: ca.caPem },
            sshPublicKey: toAuthorizedKeyLine(publicKeyOf(key).blob),
          },
        ],
      },
    }),
  );
  #position = 1;

  lock(name: string): void {
    const fact = { type: 'lock.created', data: { target: { kind: 'node', name }, message: 'taken over' } };
    this.locks = locksView.apply(this.locks, recordedAt(++this.#position, 'lock-1', fact));
    this.changes.next(undefined as never);
  }

  know(hostId: string, role: SystemRole): void {
    const host = {
      ...{ hostId, role, nodename: role.toLowerCase(), address: '10.0.0.1:1', publicAddress: '' },
      ...{ sshPublicAddress: '', labels: {}, version: '4.5.0' },
    };
    this.hosts = hostsView.apply(
      this.hosts,
      recordedAt(++this.#position, hostStream(hostId), { type: 'host.joined', data: { host } }),
    );
  }

  views() {
    return {
      authorities: { state: () => this.authorities, changes: this.changes },
      locks: { state: () => this.locks, changes: this.changes },
      hosts: { state: () => this.hosts },
    } as never;
  }

  /** A connection to the proxy at that port. */
  dial(port: number): Promise<Duplex> {
    const front = this.fronts.get(port);
    if (front === undefined)
      return Promise.reject(new CodedError('unavailable', `nothing listens on ${port}`));
    const [near, far] = duplexPair();
    front.serve(far);
    return Promise.resolve(near);
  }
}

interface Rig {
  readonly id: string;
  readonly front: LinkFront;
  readonly peers: Peers;
  readonly sink: ReturnType<typeof recordingSink>;
  readonly notice: { current: LinkNotice };
  readonly metrics: ReturnType<typeof recordingMetrics>;
}

function proxyAt(
  cluster: TestCluster,
  port: number,
  others: readonly PeerPlace[] = [],
  id: string = randomUUID(),
): Rig {
  cluster.know(id, 'Proxy');
  const [sink, metrics] = [recordingSink(), recordingMetrics()];
  const identity = replaceableIdentity(identityOf('Proxy', id));
  const notice = { current: { links: 1, proxies: [], spreadMs: 0 } as LinkNotice };
  const front = new LinkFront({
    ...{ identity, views: cluster.views(), world: realWorld, sink, metrics, strangers: noStrangers },
    openAuth: () => {
      const [near, far] = duplexPair();
      far.end('the auth server');
      far.resume();
      return Promise.resolve(near);
    },
    notice: () => notice.current,
  });
  cluster.fronts.set(port, front);
  const peers = new Peers({
    ...{ identity, places: () => others, world: realWorld, sink },
    dialAddress: (at) => cluster.dial(at.port),
    from: (hostId) => front.from(hostId),
    onAsked: (asked) => {
      front.answer({ role: 'Proxy', client: undefined }, asked);
    },
  });
  ends.push(() => {
    peers.close();
    void front.close(Promise.resolve());
  });
  return { id, front, peers, sink, notice, metrics };
}

function nodeAt(cluster: TestCluster, ports: readonly number[], identity = identityOf('Node')) {
  const sink = recordingSink();
  const shown: ReplaceableIdentity = replaceableIdentity(identity);
  let turnOf = 0;
  const agents: Agents = openAgents({
    ...{ identity: shown, world: realWorld, sink, metrics: recordingMetrics(), random: () => 0 },
    dial: (place) =>
      cluster.dial(
        place.status === 'proxy'
          ? Number(place.address.split(':')[1])
          : (ports[turnOf++ % ports.length] ?? 0),
      ),
  });
  agents.serve((asked) => asked.accept().end('the node'));
  ends.push(() => {
    agents.close();
  });
  return { id: identity.hostId, agents, sink, shown };
}

/** Waits until both ends know of exactly these links. */
const heldAt = async (
  node: { readonly id: string; readonly agents: Agents },
  ...proxies: Rig[]
): Promise<void> => {
  const expected = proxies
    .map(({ id }) => id)
    .sort()
    .join();
  await until('the node to hang there', () => [...node.agents.held()].sort().join() === expected);
  for (const { front } of proxies)
    await until('the proxy to hold it', () => front.held.usable(node.id) !== undefined);
};

describe('a node that hangs on a proxy', () => {
  it('is reached by its link, and reaches auth by it', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await node.agents.first(never);
    await heldAt(node, proxy);
    const dial = tunnelDialler(proxy.front.held, proxy.peers, () => true, {
      monotonic: () => performance.now(),
    });
    expect(await text(await dial({ hostId: node.id, proxies: [] }, { by: 'alice', signal: never }))).toBe(
      'the node',
    );
    expect(await text(await node.agents.open({ to: 'auth' }, never))).toBe('the auth server');
    for (const wish of [{ to: 'own-node' }, { to: 'node', hostId: node.id }] as const)
      await expect(node.agents.open(wish, never)).rejects.toMatchObject({ code: 'access_denied' });
    expect(proxy.front.report()).toEqual({ tunnels: 1, peersHere: 0 });
    expect(node.agents.trouble()).toBeUndefined();
  });

  it('is refused while it is locked, and cut off when it becomes so, and told why', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, proxy);
    cluster.lock(node.id);
    await until('the node to be cut off', () => node.agents.held().length === 0);
    await until('the node to know', () => node.sink.lines.some((line) => line.includes('taken over')));
    await until('a refusal', () => (proxy.metrics.counters.get('proxy_tunnels_refused_total') ?? 0) > 0);
    expect(node.agents.trouble()).toContain('taken over');
  });

  it.each([
    ['of another authority', () => identityOf('Node', randomUUID(), strange)],
    ['in another role', () => identityOf('Auth')],
    ['of a proxy that nobody knows', () => identityOf('Proxy')],
  ])('is refused with a certificate %s', async (_what, identity) => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1], identity());
    await until('a refusal', () => (proxy.metrics.counters.get('proxy_tunnels_refused_total') ?? 0) > 0);
    expect(proxy.front.held.size).toBe(0);
    expect(node.agents.held()).not.toContain('x');
  });

  it('goes to as many proxies as it is told, and leaves those that are not needed', async () => {
    const cluster = new TestCluster();
    const [one, two] = [proxyAt(cluster, 1), proxyAt(cluster, 2)];
    const node = nodeAt(cluster, [1]);
    await heldAt(node, one);
    const proxies = [one, two].map(({ id }, i) => ({ hostId: id, address: `10.0.0.1:${i + 1}` }));
    for (const { notice } of [one, two]) notice.current = { links: 'all', proxies, spreadMs: 0 };
    await heldAt(node, one, two);
    for (const { notice } of [one, two]) notice.current = { links: 1, proxies, spreadMs: 0 };
    await until('the node to hang on one', () => node.agents.held().length === 1);
  });

  it('moves when its proxy goes, and what is open stays until it ends', async () => {
    const cluster = new TestCluster();
    const [one, two] = [proxyAt(cluster, 1), proxyAt(cluster, 2)];
    const node = nodeAt(cluster, [1, 2]);
    await heldAt(node, one);
    let moved = 0;
    node.agents.onMove(() => moved++);
    const asked: Duplex[] = [];
    node.agents.serve((wanted) => asked.push(wanted.accept()));
    const open = await one.front.held.usable(node.id)?.link.open({ to: 'own-node' }, never);
    one.front.drain();
    await heldAt(node, two);
    expect(moved).toBe(1);
    asked[0]?.end('still here');
    if (open === undefined) throw new Error('a stream');
    expect(await text(open)).toBe('still here');
    open.end();
    await one.front.held.allGone();
  });

  it('opens its links again under a new identity, and drops the old ones', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, proxy);
    const [before] = proxy.front.held.all();
    const next = identityOf('Node', node.id);
    node.shown.replace({ client: next, server: next });
    await before?.link.closed;
    await heldAt(node, proxy);
    await until('one link to be left', () => proxy.front.held.all().length === 1);
  });

  it('takes nothing new once it leaves', async () => {
    const cluster = new TestCluster();
    const proxy = proxyAt(cluster, 1);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, proxy);
    node.agents.leave();
    await until('the link to be left', () => proxy.front.held.usable(node.id) === undefined);
    await expect(node.agents.open({ to: 'auth' }, never)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('proxies', () => {
  it('forward to the one that holds a node, whoever of them opened the link', async () => {
    const cluster = new TestCluster();
    const holder = proxyAt(cluster, 1);
    const other = proxyAt(cluster, 2, [{ hostId: holder.id, addresses: [{ host: '10.0.0.1', port: 1 }] }]);
    const third = proxyAt(cluster, 3);
    const node = nodeAt(cluster, [1]);
    await heldAt(node, holder);
    await until('the proxies to be linked', () => other.peers.linked === 1);
    expect(other.peers.unreachable()).toEqual([]);
    const dial = tunnelDialler(other.front.held, other.peers, () => true, {
      monotonic: () => performance.now(),
    });
    expect(
      await text(await dial({ hostId: node.id, proxies: [holder.id] }, { by: 'a', signal: never })),
    ).toBe('the node');
    // The other way round, on the same link.
    const far = nodeAt(cluster, [2]);
    await heldAt(far, other);
    const link = holder.front.from(other.id);
    expect(await text((await link?.open({ to: 'node', hostId: far.id }, never)) as Duplex)).toBe('the node');
    expect(holder.front.from(third.id)).toBeUndefined();
    await expect(link?.open({ to: 'node', hostId: randomUUID() }, never)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('say which ones they do not reach, and why', async () => {
    const cluster = new TestCluster();
    const [away, elsewhere] = [randomUUID(), randomUUID()];
    const real = proxyAt(cluster, 1);
    const proxy = proxyAt(cluster, 2, [
      { hostId: away, addresses: [{ host: '10.0.0.1', port: 9 }] },
      { hostId: elsewhere, addresses: [{ host: '10.0.0.1', port: 1 }] },
    ]);
    await until('both to be tried', () => proxy.peers.unreachable().length === 2);
    expect(proxy.peers.unreachable()).toEqual([
      { hostId: away, why: 'nothing listens on 9' },
      { hostId: elsewhere, why: `at its address answers another proxy, ${real.id}` },
    ]);
    expect(proxy.sink.lines.join('\n')).toContain('another proxy cannot be reached');
  });
});

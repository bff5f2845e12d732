import { randomUUID } from 'node:crypto';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { Subject } from 'rxjs';
import { recordingMetrics, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { noStrangers } from '../../base/service.ts';
import { realWorld } from '../../base/world.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { hostStream, remoteClusterStream } from '../../domain/streams.ts';
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
import { remoteClustersView } from '../../views/remote-clusters.ts';
import { recordedAt } from '../../views/testing.ts';
import { LinkFront } from './link-front.ts';
import { type PeerPlace, Peers } from './peers.ts';

const now = realWorld.now();
const caOf = (purpose: string, clusterName = 'example') => {
  const caKey = keyOf('p256', purpose);
  return { caKey, caPem: createCaCertificate({ clusterName, privateKey: caKey, now }) };
};
export const [ca, strange] = [caOf('authority'), caOf('a strange authority')];
export const leafCa = caOf('authority of a leaf', 'leaf');
const key = keyOf('ed25519', 'host');

export function identityOf(
  role: SystemRole,
  hostId: string = randomUUID(),
  { caKey, caPem } = ca,
  clusterName = 'example',
): HostIdentity {
  return {
    ...{
      hostId,
      role,
      clusterName,
      privateKeyPem: privateKeyPem(key),
      sshCertificate: '',
      sshHostCas: [],
    },
    tlsCasPem: [ca.caPem],
    tlsCertificatePem: issueHostTlsCertificate({
      ...{ publicKey: publicKeyOf(key).key, caKey, caPem, clusterName, role, hostId },
      ...{ additionalPrincipals: [], now, ttlSeconds: 3600 },
    }),
  };
}

const ends: (() => void)[] = [];
/** Ends all proxies and nodes of a test. */
export function endAll(): void {
  for (const end of ends.splice(0).reverse()) end();
}
export const until = async (what: string, holds: () => boolean): Promise<void> => {
  const began = performance.now();
  while (!holds()) {
    if (performance.now() - began > 5_000) throw new Error(`waited in vain for: ${what}`);
    await turn();
  }
};
export const never = new AbortController().signal;

/** What all proxies of the test know, and where they are. */
export class TestCluster {
  readonly changes = new Subject<never>();
  readonly rotations = new Subject<never>();
  readonly fronts = new Map<number, LinkFront>();
  locks = locksView.initial;
  hosts = hostsView.initial;
  remotes = remoteClustersView.initial;
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

  /** A cluster that trusts this one, by the key of its host authority. */
  admit(clusterName: string, caPem: string): void {
    const keys = [{ keyId: 'leaf', tlsCertificatePem: caPem, sshPublicKey: `ssh-ed25519 ${clusterName}` }];
    const data = { host: { keys, number: 1 }, tokenId: 't', address: '10.0.0.9:1' };
    this.#ofRemote(clusterName, { type: 'remote_cluster.admitted', data });
  }

  forget(clusterName: string): void {
    this.#ofRemote(clusterName, { type: 'remote_cluster.deleted', data: {} });
  }

  #ofRemote(clusterName: string, fact: { readonly type: string; readonly data: object }): void {
    const stream = remoteClusterStream(clusterName);
    this.remotes = remoteClustersView.apply(this.remotes, recordedAt(++this.#position, stream, fact));
    this.changes.next(undefined as never);
  }

  views(): never {
    return {
      authorities: { state: () => this.authorities, changes: this.rotations },
      locks: { state: () => this.locks, changes: this.changes },
      hosts: { state: () => this.hosts },
      remoteClusters: { state: () => this.remotes, changes: this.changes },
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

export interface Rig {
  readonly id: string;
  readonly front: LinkFront;
  readonly peers: Peers;
  readonly sink: ReturnType<typeof recordingSink>;
  readonly notice: { current: LinkNotice };
  readonly metrics: ReturnType<typeof recordingMetrics>;
}

export function proxyAt(
  cluster: TestCluster,
  port: number,
  others: readonly PeerPlace[] = [],
  id: string = randomUUID(),
  own?: PeerPlace,
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
    ...{ identity, world: realWorld, sink },
    places: (withOwn) => [...others, ...(withOwn && own !== undefined ? [own] : [])],
    dialAddress: (at) => cluster.dial(at.port),
    from: (hostId) => front.from(hostId),
    onAsked: (asked) => {
      front.answer({ part: 'proxy', client: undefined }, asked);
    },
  });
  ends.push(() => {
    peers.close();
    void front.close(Promise.resolve());
  });
  return { id, front, peers, sink, notice, metrics };
}

export interface TestNode {
  readonly id: string;
  readonly agents: Agents;
  readonly sink: ReturnType<typeof recordingSink>;
  readonly shown: ReplaceableIdentity;
  /** How often the ways to what is configured were to be searched again. */
  readonly searches: { count: number };
}

export function nodeAt(
  cluster: TestCluster,
  ports: readonly number[],
  identity = identityOf('Node'),
): TestNode {
  const sink = recordingSink();
  const shown: ReplaceableIdentity = replaceableIdentity(identity);
  const searches = { count: 0 };
  let turnOf = 0;
  const agents: Agents = openAgents({
    ...{ identity: shown, world: realWorld, sink, subject: 'this node', random: () => 0 },
    measure: () => undefined,
    onFailure: () => searches.count++,
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
  return { id: identity.hostId, agents, sink, shown, searches };
}

/** A proxy of the cluster `leaf`, which goes to these proxies of the root. */
export function leafAt(
  cluster: TestCluster,
  ports: readonly number[],
  identity = identityOf('Proxy', randomUUID(), leafCa, 'leaf'),
): Omit<TestNode, 'searches'> & {
  readonly root: { authorities: readonly string[] };
  readonly changes: Subject<undefined>;
} {
  const [sink, root, changes] = [recordingSink(), { authorities: [ca.caPem] }, new Subject<undefined>()];
  const shown: ReplaceableIdentity = replaceableIdentity(identity);
  let turnOf = 0;
  const agents: Agents = openAgents({
    ...{ identity: shown, world: realWorld, sink, subject: 'this proxy', random: () => 0 },
    measure: () => undefined,
    other: {
      clusterName: 'example',
      authorities: () => root.authorities,
      changes: { subscribe: (act) => changes.subscribe(act) },
    },
    dial: () => cluster.dial(ports[turnOf++ % ports.length] ?? 0),
  });
  ends.push(() => {
    agents.close();
  });
  return { id: identity.hostId, agents, sink, shown, root, changes };
}

/** Waits until both ends know of exactly these links. */
export const heldAt = async (
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

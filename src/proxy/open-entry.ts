import type { Duplex } from 'node:stream';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { strategyKey, strategyOf } from '../domain/tunnel-strategy.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { defaultAlgorithms } from '../ssh/algorithms.ts';
import { hostKeysOf } from '../ssh/host-keys.ts';
import { clientSigner, type SignClient } from '../ssh/signed-client.ts';
import { LinkStream } from '../tunnel/link-stream.ts';
import { sessionTold } from '../tunnel/link-wish.ts';
import { balancersOf } from './client-address.ts';
import { knownNodesOf } from './known-nodes.ts';
import type { ProxyAudit } from './proxy-audit.ts';
import type { ProxyDeps } from './proxy-deps.ts';
import { leafStandingsOf, nodeDirectory, type ProxyViews } from './proxy-views.ts';
import { dialTcp } from './ssh/dial.ts';
import { directDialler } from './ssh/dial-direct.ts';
import { diallerBy } from './ssh/dial-node.ts';
import { addressesOf } from './ssh/look-up-name.ts';
import { authOpener } from './ssh/open-auth.ts';
import { type Leaves, noLeaves, type TargetDeps, targetOpener } from './ssh/open-target.ts';
import { isOwnListener } from './ssh/own-listener.ts';
import { SshFront } from './ssh/ssh-front.ts';
import { SshRelay } from './ssh/ssh-relay.ts';
import { remoteClusters } from '../views/remote-clusters.ts';
import { sitesOf } from './sites.ts';
import { leafDialler } from './tunnel/dial-leaf.ts';
import { tunnelDialler } from './tunnel/dial-tunnel.ts';
import { noticeFor, peerPlaces } from './tunnel/fleet.ts';
import { LinkFront } from './tunnel/link-front.ts';
import { Peers } from './tunnel/peers.ts';
import { AuthRelay, relayOpener } from './tunnel/relay-auth.ts';
import { RootLinks } from './tunnel/root-links.ts';
import { RootVisitors } from './tunnel/root-visitors.ts';

/** Where its ports are bound; before they are, where they are asked for. */
export interface Bound {
  ssh: HostPort;
  web: HostPort;
  tunnel: HostPort | undefined;
  peer: HostPort | undefined;
}

export interface Entry {
  readonly ssh: SshFront;
  /** A client of SSH that came to another port. */
  readonly enterSsh: (connection: Duplex) => void;
  readonly links: LinkFront;
  readonly relay: AuthRelay;
  readonly peers: Peers;
  readonly roots: RootLinks;
}

/** What leads into the cluster: SSH, and the links by which nodes and other proxies are reached. */
export function openEntry(deps: ProxyDeps, views: ProxyViews, audit: ProxyAudit, bound: Bound): Entry {
  const { config, identity, metrics, sink, world, listeners } = deps;
  const { hostId, clusterName } = config;
  const { strangers } = listeners;
  const lookUpName = addressesOf(deps.lookUpName);
  const dialAddress = dialTcp(deps.lookUpName);
  const openAuth = authOpener(() => inOrder(config.authServers, deps.auth.servers()), dialAddress);
  const openRelay = relayOpener(openAuth, identity, world);
  const nodes = nodeDirectory(views, () => world.now());
  const peers: Peers = new Peers({
    ...{ identity, dialAddress, world, sink },
    places: (withOwn) => peerPlaces(views, withOwn ? undefined : hostId),
    from: (other) => links.from(other),
    onAsked: (asked) => {
      links.answer({ part: 'proxy', client: undefined }, asked);
    },
  });
  const links: LinkFront = new LinkFront({
    ...{ identity, views, world, sink, metrics, strangers },
    openAuth: openRelay,
    notice: () =>
      noticeFor(
        views,
        { hostId, address: { host: config.advertiseIp(), port: bound.web.port } },
        strategyOf(views.configuration.state().standing[strategyKey]),
        {
          away: new Set(peers.unreachable().map(({ hostId: other }) => other)),
          nodes: links.held.size,
        },
      ),
  });
  const tunnel = tunnelDialler(links.held, peers, (id) => nodes.isAlive(id), {
    monotonic: () => world.monotonic(),
  });
  const standingOf = leafStandingsOf(views);
  const dialLeaf = leafDialler(links.leaves, peers, standingOf, { monotonic: () => world.monotonic() });
  const leaves: Leaves = {
    known: () => remoteClusters(views.remoteClusters.state()).map(({ clusterName: leaf }) => leaf),
    dial: async (leaf, request, signal) => {
      const stream = await dialLeaf(leaf, request, signal);
      const session = stream instanceof LinkStream ? sessionTold(stream.told) : undefined;
      if (session !== undefined) audit.inLeaf({ leaf, session, request }, stream);
      return stream;
    },
  };
  const targets: TargetDeps = {
    clusterName,
    nodes,
    lookUpName,
    diallerOf: diallerBy({
      direct: directDialler({
        ownHostId: hostId,
        allowed: balancersOf(config.nodeAddresses ?? []),
        lookUpName,
        isOwnListener,
        dialAddress,
      }),
      tunnel: (node, asking) => tunnel({ ...node, proxies: nodes.hangsOn(node.hostId) }, asking),
    }),
    dialAddress,
    signClient: (statement) => signerFor(identity.current())(statement),
    openAuth,
    plainSshHosts: config.plainSshHosts ?? [],
    leaves,
  };
  const openTarget = targetOpener(targets);
  const visitors = new RootVisitors({
    ...{ clusterName, audit, sink, newSessionId: () => world.uuid() },
    openTarget: targetOpener({ ...targets, plainSshHosts: [], leaves: noLeaves }),
  });
  const roots = new RootLinks({
    ...{ identity, views, visitors, world, sink, metrics },
    openRootEntry: deps.openRootEntry,
  });
  const { state, presence } = deps.auth;
  const knownNodes = knownNodesOf(views, () => Math.max(state.ageMs(), presence.ageMs()), world);
  const sites = sitesOf(clusterName, { leaves, standingOf, held: () => links.leaves.names() }, world);
  const relay = new SshRelay({ openTarget, knownNodes, sites, clusterName, metrics, sink, audit });
  const algorithms = config.sshAlgorithms ?? defaultAlgorithms;
  const ssh = new SshFront({ ...deps, strangers, views, relay, audit, algorithms });
  return { ssh, enterSsh: ssh.enter, links, relay: new AuthRelay(openRelay, sink), peers, roots };
}

/** Reading a key takes as long as a signature, so it is done once for each identity. */
const signers = new WeakMap<HostIdentity, SignClient>();
function signerFor(identity: HostIdentity): SignClient {
  const known = signers.get(identity);
  if (known !== undefined) return known;
  const [key] = hostKeysOf(identity);
  const made = clientSigner(key.privateKey, key.certificate);
  signers.set(identity, made);
  return made;
}

/** The servers in the file, in the order in which this proxy's connection would try them. */
const inOrder = (servers: readonly HostPort[], names: readonly string[]): readonly HostPort[] =>
  servers.toSorted((a, b) => names.indexOf(formatHostPort(a)) - names.indexOf(formatHostPort(b)));

import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { parseHostAddress } from '../../domain/host-text.ts';
import { directAddress } from '../../domain/reachability.ts';
import type { TunnelStrategy } from '../../domain/tunnel-strategy.ts';
import type { LinkNotice } from '../../tunnel/link-wish.ts';
import { hostsInRole } from '../../views/hosts.ts';
import { newestHeardMs, presenceOf, seenOf } from '../../views/presence.ts';
import type { ProxyViews } from '../proxy-views.ts';
import type { PeerPlace } from './peers.ts';

type Known = Pick<ProxyViews, 'hosts' | 'presence'>;

/** The proxies of the cluster that are alive and stay, as last heard of. */
export function proxiesAlive({ hosts, presence }: Known): readonly HostInfo[] {
  const heard = presence.state();
  const atMs = newestHeardMs(heard);
  return hostsInRole(hosts.state(), 'Proxy').filter(
    (one) => presenceOf(heard, one, atMs).status === 'alive' && seenOf(heard, one)?.leaving !== true,
  );
}

/**
 * Where the others are. The port for other proxies comes first; where that is closed, the web port serves
 * them as well.
 */
export const peerPlaces = (views: Known, ownHostId: string): readonly PeerPlace[] =>
  proxiesAlive(views)
    .filter(({ hostId }) => hostId !== ownHostId)
    .map(({ hostId, peerAddress = '', reachability }) => ({
      hostId,
      addresses: [peerAddress, directAddress(reachability) ?? ''].flatMap(placeIn),
    }));

const placeIn = (text: string): readonly HostPort[] => {
  const place = parseHostAddress(text);
  return place === undefined ? [] : [place];
};

/** One for each so many machines that may come at once. */
const linksPerSecond = 300;
const longestSpreadMs = 30 * second;

/**
 * What nodes that hang here are told. While a proxy does not reach another one, a client might come to one
 * that does not hold its node: so nodes hang on all of them meanwhile.
 */
export function noticeFor(
  views: Known,
  own: { readonly hostId: string; readonly address: HostPort },
  strategy: TunnelStrategy,
  { allReached, nodes }: { readonly allReached: boolean; readonly nodes: number },
): LinkNotice {
  const others = peerPlaces(views, own.hostId).map(({ hostId, addresses }) => ({
    hostId,
    address: addresses.at(-1),
  }));
  const all = [...others, { hostId: own.hostId, address: own.address }].slice(0, mostNamed);
  const spreadMs = Math.min(longestSpreadMs, Math.floor(nodes / linksPerSecond) * second);
  return {
    links: strategy.type === 'agent_mesh' || !allReached ? 'all' : strategy.connections,
    proxies: all
      .map(({ hostId, address }) => ({
        hostId,
        address: address === undefined ? '' : formatHostPort(address),
      }))
      .sort((a, b) => (a.hostId < b.hostId ? -1 : 1)),
    spreadMs,
  };
}

/** As many as a notice may name. */
const mostNamed = 64;

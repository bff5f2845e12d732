import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { parseHostAddress } from '../../domain/host-text.ts';
import { directAddress } from '../../domain/reachability.ts';
import type { TunnelStrategy } from '../../domain/tunnel-strategy.ts';
import type { LinkNotice } from '../../tunnel/link-wish.ts';
import { liveProxies } from '../../views/live-proxies.ts';
import type { ProxyViews } from '../proxy-views.ts';
import type { PeerPlace } from './peers.ts';

type Known = Pick<ProxyViews, 'hosts' | 'presence'>;

/**
 * Where proxies are, all `without` one. The port for other proxies comes first; where that is closed, the
 * web port serves them as well.
 */
export const peerPlaces = (views: Known, without: string | undefined): readonly PeerPlace[] =>
  liveProxies(views.hosts.state(), views.presence.state())
    .map(({ host }) => host)
    .filter(({ hostId }) => hostId !== without)
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
 * @param away the proxies that this one does not reach.
 */
export function noticeFor(
  views: Known,
  own: { readonly hostId: string; readonly address: HostPort },
  strategy: TunnelStrategy,
  { away, nodes }: { readonly away: ReadonlySet<string>; readonly nodes: number },
): LinkNotice {
  const others = peerPlaces(views, own.hostId).map(({ hostId, addresses }) => ({
    hostId,
    address: addresses.at(-1),
  }));
  const all = [...others, { hostId: own.hostId, address: own.address }].slice(0, mostNamed);
  const spreadMs = Math.min(longestSpreadMs, Math.floor(nodes / linksPerSecond) * second);
  return {
    links: strategy.type === 'agent_mesh' || away.size > 0 ? 'all' : strategy.connections,
    proxies: all
      .map(({ hostId, address }) => ({
        hostId,
        address: address === undefined ? '' : formatHostPort(address),
        ...(away.has(hostId) && { away: true as const }),
      }))
      .sort((a, b) => (a.hostId < b.hostId ? -1 : 1)),
    spreadMs,
  };
}

/** As many as a notice may name. */
const mostNamed = 64;

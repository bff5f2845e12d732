import { parseHostPort } from '../../base/addresses.ts';
import type { Environment } from '../../base/forward-proxy.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { RootAddresses, RootEntry } from '../../proxy/tunnel/root-links.ts';
import { openWay } from './open-way.ts';
import { ProxyWays } from './proxy-ways.ts';

/** Source: reference 4.4, ports. */
const usualPorts = { web: 3080, tunnel: 3024 };

/**
 * How the proxies of another cluster are reached: at the address for tunnels that was written down, else by
 * the ways that its web address leads to.
 * @throws CodedError `bad_request` for what is no address.
 */
export function openRootEntry(
  { tunnelAddress, webProxyAddress }: RootAddresses,
  sink: LogSink,
  env: Environment,
): RootEntry {
  const web = parseHostPort(webProxyAddress, usualPorts.web);
  const ways = new ProxyWays(web, sink, env, parseHostPort(tunnelAddress, usualPorts.tunnel));
  return {
    dial: (place, signal) =>
      place.status === 'proxy'
        ? openWay({ status: 'tcp', address: parseHostPort(place.address, 0) }, env, signal)
        : ways.open(signal),
    forget: () => {
      ways.forget();
    },
  };
}

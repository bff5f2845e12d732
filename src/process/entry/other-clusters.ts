import { type OtherClusters, otherClusters } from '../../api/trust-client.ts';
import type { Environment } from '../../base/forward-proxy.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import { ProxyWays } from './proxy-ways.ts';

/**
 * Auth servers of other clusters: at the address itself, which may be an auth server or a proxy, else by the
 * ways that a proxy there leads to, as where a balancer ends TLS. They are asked seldom, so the way is
 * looked for each time.
 */
export const reachedByWays = (world: World, sink: LogSink, env: Environment): OtherClusters => {
  const seldomTold: LogSink = {
    ...sink,
    info: (text, fields) => {
      sink.debug(text, fields);
    },
  };
  return otherClusters(world, (server, signal) =>
    new ProxyWays(server, seldomTold, env, server).open(signal),
  );
};

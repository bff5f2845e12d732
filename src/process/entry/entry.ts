import type { Duplex } from 'node:stream';
import { joinCluster, tryIdentity, type JoinTrust } from '../../api/join-client.ts';
import { parseHostPort } from '../../base/addresses.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import type { Environment } from '../../base/forward-proxy.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { signalAfter } from '../../base/timers.ts';
import type { Agents } from '../../tunnel/agents.ts';
import type { LinkPlace } from '../../tunnel/plan-links.ts';
import { askProxy } from './ask-proxy.ts';
import { openWay } from './open-way.ts';
import { ProxyWays } from './proxy-ways.ts';

/** How a machine comes to auth servers: it dials them, or goes by way of proxies. */
export interface Entry {
  reach(): 'direct' | 'tunnel';
  /** As `api/join-client.ts`, by the way that leads there. */
  readonly joinCluster: typeof joinCluster;
  readonly tryIdentity: typeof tryIdentity;
  /** A connection to an auth server, by way of a proxy. */
  readonly through: (server: HostPort, signal: AbortSignal) => Promise<Duplex>;
  /** A connection to a proxy, for a link. */
  readonly dialLink: (place: LinkPlace, signal: AbortSignal) => Promise<Duplex>;
  /** The ways that were found do not work any more. */
  forget(): void;
  /** From now on auth servers are reached through the links, while there are any. */
  use(agents: Agents): void;
}

export interface EntryOptions {
  readonly servers: readonly HostPort[];
  /**
   * `proxies`: the servers are web addresses of proxies. `either`: they are auth servers, unless it turns
   * out that one is a proxy. `auth`: they are auth servers.
   */
  readonly kind: 'proxies' | 'either' | 'auth';
  readonly sink: LogSink;
  /** In [0, 1). */
  readonly random: () => number;
  /** May name an HTTP proxy by which proxies are reached; auth servers are dialled directly. */
  readonly env: Environment;
}

const lookMs = 10 * second;

/** Connects to nothing yet: what cannot be reached is found out by whoever connects. */
export function openEntry({ servers, kind, sink, random, env }: EntryOptions): Entry {
  const ways = servers.map((server) => new ProxyWays(server, sink, env));
  let reach: 'direct' | 'tunnel' = kind === 'proxies' ? 'tunnel' : 'direct';
  let agents: Agents | undefined;

  const waysTo = (server: HostPort): ProxyWays =>
    ways.find(({ address }) => formatHostPort(address) === formatHostPort(server)) ??
    new ProxyWays(server, sink, env);
  const through: Entry['through'] = async (server, signal) => {
    if (agents !== undefined && agents.held().length > 0) return agents.open({ to: 'auth' }, signal);
    return waysTo(server).open(signal);
  };
  /** Whether one of these is a proxy after all. From then on all of them are. */
  const turnsOut = async (asked: readonly HostPort[]): Promise<boolean> => {
    if (kind !== 'either' || reach === 'tunnel') return reach === 'tunnel';
    for (const server of asked)
      try {
        await askProxy(server, env, signalAfter(lookMs));
        sink.info('what answers there is a proxy: this node joins and is reached through it', {
          proxy: formatHostPort(server),
        });
        reach = 'tunnel';
        return true;
      } catch (e) {
        if (!isCoded(e)) throw e;
      }
    return false;
  };
  const byWay = (trust: JoinTrust): JoinTrust => (reach === 'tunnel' ? { ...trust, through } : trust);
  return {
    reach: () => reach,
    through,
    use: (opened) => {
      agents = opened;
    },
    forget: () => {
      for (const one of ways) one.forget();
    },
    joinCluster: async (trust, joining, world) => {
      try {
        return await joinCluster(byWay(trust), joining, world);
      } catch (e) {
        const was = reach;
        if (was === 'tunnel' || !(await turnsOut(trust.servers))) throw e;
        return joinCluster(byWay(trust), joining, world);
      }
    },
    tryIdentity: async (server, identity, world, greetingMs) => {
      if (reach === 'tunnel') return tryIdentity(server, identity, world, undefined, through);
      const verdict = await tryIdentity(server, identity, world, greetingMs);
      if (verdict.status === 'admitted' || (verdict.status === 'refused' && verdict.by === 'own-cluster'))
        return verdict;
      return (await turnsOut([server])) ? tryIdentity(server, identity, world, undefined, through) : verdict;
    },
    dialLink: async (place, signal) => {
      if (place.status === 'proxy')
        return openWay({ status: 'tcp', address: parseHostPort(place.address, 0) }, env, signal);
      const from = Math.floor(random() * ways.length);
      const failures: string[] = [];
      for (const one of [...ways.slice(from), ...ways.slice(0, from)])
        try {
          return await one.open(signal);
        } catch (e) {
          failures.push(messageOf(e));
        }
      throw new CodedError('unavailable', failures.join('; '));
    },
  };
}

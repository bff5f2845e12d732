import type { Duplex } from 'node:stream';
import { randomFraction } from '../../base/backoff.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import type { World } from '../../base/world.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { type Agents, openAgents } from '../../tunnel/agents.ts';
import type { LinkPlace } from '../../tunnel/plan-links.ts';
import { findTrusted, trustedClusters } from '../../views/trusted-clusters.ts';
import type { ProxyViews } from '../proxy-views.ts';
import type { RootVisitors } from './root-visitors.ts';

/** How the proxies of a root are reached. */
export interface RootEntry {
  /** A connection to a proxy, on which TLS has not begun. @throws CodedError `unavailable` */
  dial(place: LinkPlace, signal: AbortSignal): Promise<Duplex>;
  /** The ways that were found do not work any more. */
  forget(): void;
}

/** `host:port` of a root, as an operator wrote them. */
export interface RootAddresses {
  readonly tunnelAddress: string;
  readonly webProxyAddress: string;
}

export interface RootLinksDeps {
  readonly identity: CurrentIdentity;
  readonly views: Pick<ProxyViews, 'trustedClusters'>;
  readonly openRootEntry: (addresses: RootAddresses) => RootEntry;
  readonly visitors: RootVisitors;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Pick<Metrics, 'set'>;
}

interface Root {
  readonly agents: Agents;
  /** By which it was opened. */
  readonly addresses: string;
}

/** The links of this proxy to the roots: the clusters that this one trusts, and whose people come by them. */
export class RootLinks {
  readonly #deps: RootLinksDeps;
  readonly #roots = new Map<string, Root>();
  readonly #following: { unsubscribe(): void };
  #left = false;

  constructor(deps: RootLinksDeps) {
    this.#deps = deps;
    this.#following = deps.views.trustedClusters.changes.subscribe({
      next: () => {
        this.#look();
      },
      error: () => undefined,
    });
    this.#look();
  }

  /** Roots that hold fewer links of this proxy than they want, with why. */
  troubles(): readonly { readonly clusterName: string; readonly why: string }[] {
    return [...this.#roots].flatMap(([clusterName, { agents }]) => {
      const why = agents.trouble();
      return why === undefined ? [] : [{ clusterName, why }];
    });
  }

  /** For an operator who asks: on how many proxies of each root it hangs. */
  report(): Record<string, number> {
    return Object.fromEntries([...this.#roots].map(([name, { agents }]) => [name, agents.held().length]));
  }

  /** Lets nobody in any more; whoever is in stays. */
  leave(): void {
    this.#left = true;
    this.#following.unsubscribe();
    for (const { agents } of this.#roots.values()) agents.leave();
  }

  /** After `leave`: resolves when nobody is left, at the latest when the time is `over`. */
  async close(over: Promise<void>): Promise<void> {
    this.leave();
    await this.#deps.visitors.gone(over);
    for (const { agents } of this.#roots.values()) agents.close();
    await this.#deps.visitors.gone();
  }

  #look(): void {
    if (this.#left) return;
    const wanted = new Map(
      trustedClusters(this.#deps.views.trustedClusters.state())
        .filter(({ trust }) => trust.enabled)
        .map(({ clusterName, trust }) => [clusterName, trust]),
    );
    for (const [name, { agents, addresses }] of this.#roots) {
      const trust = wanted.get(name);
      if (trust !== undefined && addressesText(trust) === addresses) continue;
      // It is not trusted any more, or is somewhere else: whoever came by it goes with the links.
      agents.close();
      this.#roots.delete(name);
    }
    for (const [name, trust] of wanted)
      if (!this.#roots.has(name))
        this.#roots.set(name, { agents: this.#open(name, trust), addresses: addressesText(trust) });
  }

  #open(clusterName: string, addresses: RootAddresses): Agents {
    const { identity, views, world, sink, metrics, visitors } = this.#deps;
    const entry = this.#deps.openRootEntry(addresses);
    const agents = openAgents({
      ...{ identity, world, sink, subject: 'this proxy' },
      other: {
        clusterName,
        authorities: () =>
          (findTrusted(views.trustedClusters.state(), clusterName)?.host.keys ?? []).map(
            ({ tlsCertificatePem }) => tlsCertificatePem,
          ),
        changes: {
          subscribe: (act) => views.trustedClusters.changes.subscribe({ next: act, error: () => undefined }),
        },
      },
      dial: (place, signal) => entry.dial(place, signal),
      onFailure: () => {
        entry.forget();
      },
      measure: (proxy, held) => {
        metrics.set('proxy_root_tunnels', held ? 1 : 0, { cluster: clusterName, proxy });
      },
      random: () => randomFraction(world),
    });
    agents.serve((asked) => {
      visitors.answer(clusterName, asked);
    });
    return agents;
  }
}

const addressesText = ({ tunnelAddress, webProxyAddress }: RootAddresses): string =>
  `${tunnelAddress} ${webProxyAddress}`;

import { CodedError } from '../../base/errors.ts';
import type { Way } from '../../base/first-of.ts';
import type { Metrics } from '../../base/service.ts';
import { FinalRefusal } from '../../tunnel/frame-bodies.ts';
import type { Link } from '../../tunnel/link.ts';
import type { LinkStream } from '../../tunnel/link-stream.ts';
import type { LinkPeer } from '../../tunnel/link-tls.ts';
import type { LeafRequest } from '../../tunnel/link-wish.ts';

export interface LeafLink {
  readonly peer: LinkPeer;
  readonly link: Link;
}

/** One is enough; others are those that have died and are not silent for long enough, or are drained. */
const mostOfOneProxy = 16;
/** Each link costs memory: one cluster, or whoever has its key, cannot take all of it. */
const mostOfOneCluster = 256;

/** The links of leaves that hang on this proxy: those of their proxies, any of which leads there. */
export class LeafLinks {
  /** By cluster name, the newest last. */
  readonly #links = new Map<string, readonly LeafLink[]>();
  readonly #metrics: Pick<Metrics, 'set'>;
  #tellChange: () => void = () => undefined;
  #turn = 0;

  constructor(metrics: Pick<Metrics, 'set'>) {
    this.#metrics = metrics;
  }

  /** `act` is called when `names` may have changed. */
  onChange(act: () => void): void {
    this.#tellChange = act;
  }

  /** Until it is closed. */
  hold(held: LeafLink): void {
    const { clusterName, hostId } = held.peer;
    const all = [...(this.#links.get(clusterName) ?? []), held];
    this.#set(clusterName, all);
    const ofOne = all.filter(({ peer }) => peer.hostId === hostId);
    if (ofOne.length > mostOfOneProxy)
      ofOne[0]?.link.close(`this proxy of the cluster holds more than ${mostOfOneProxy} links`);
    if (all.length > mostOfOneCluster)
      all[0]?.link.close(`its cluster holds more than ${mostOfOneCluster} links`);
    void held.link.closed.then(() => {
      this.#set(
        clusterName,
        (this.#links.get(clusterName) ?? []).filter((one) => one !== held),
      );
    });
  }

  /** The clusters that are reached by a link of theirs to this proxy, by name. */
  names(): readonly string[] {
    return [...this.#links.keys()].filter((name) => this.#usable(name).length > 0).sort();
  }

  all(): readonly LeafLink[] {
    return [...this.#links.values()].flat();
  }

  /** The ways into a leaf by its links to here, beginning with another one each time. */
  waysTo(clusterName: string, request: LeafRequest): readonly Way[] {
    const usable = this.#usable(clusterName);
    const from = usable.length === 0 ? 0 : this.#turn++ % usable.length;
    return [...usable.slice(from), ...usable.slice(0, from)].map(({ peer, link }) => ({
      name: `proxy ${peer.hostId} of ${clusterName}`,
      open: (signal) => link.open({ to: 'inside', ...request }, signal),
      isAnswer: isAnswerOfLeaf,
    }));
  }

  /** By the newest link. @throws CodedError as the leaf answers; `unavailable` when it does not hang here */
  async open(clusterName: string, request: LeafRequest, signal: AbortSignal): Promise<LinkStream> {
    const newest = this.#usable(clusterName).at(-1);
    if (newest === undefined)
      throw new CodedError('unavailable', `cluster ${clusterName} does not hang on this proxy`);
    return newest.link.open({ to: 'inside', ...request }, signal);
  }

  #usable(clusterName: string): readonly LeafLink[] {
    return (this.#links.get(clusterName) ?? []).filter(({ link }) => link.usable);
  }

  #set(clusterName: string, links: readonly LeafLink[]): void {
    if (links.length === 0) this.#links.delete(clusterName);
    else this.#links.set(clusterName, links);
    this.#metrics.set('proxy_leaf_tunnels', links.length, { cluster: clusterName });
    this.#tellChange();
  }
}

/** Another proxy of the leaf would say the same. */
export const isAnswerOfLeaf = (e: CodedError): boolean => e instanceof FinalRefusal;

import { CodedError } from '../../base/errors.ts';
import type { HostPort, Metrics } from '../../base/service.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';
import type { Link } from '../../tunnel/link.ts';
import type { LinkPeer } from '../../tunnel/link-tls.ts';

export interface HeldLink {
  readonly peer: LinkPeer;
  readonly link: Link;
  /** Where the node is; undefined: it had left before that was read. */
  readonly client: HostPort | undefined;
}

/** One is enough; others are those that have died and are not silent for long enough, or are drained. */
const mostOfOne = 16;

/** The links of nodes that hang on this proxy. */
export class HeldLinks {
  /** By host id, the newest last. */
  readonly #links = new Map<string, readonly HeldLink[]>();
  readonly #metrics: Metrics;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#count();
  }

  /** Until it is closed. */
  hold(held: HeldLink): void {
    const { hostId } = held.peer;
    this.#links.set(hostId, [...(this.#links.get(hostId) ?? []), held]);
    this.#count();
    this.#cutSurplus(hostId);
    for (const come of this.#waiting.get(hostId) ?? []) come();
    void held.link.closed.then(() => {
      const left = (this.#links.get(hostId) ?? []).filter((one) => one !== held);
      if (left.length === 0) this.#links.delete(hostId);
      else this.#links.set(hostId, left);
      this.#count();
    });
  }

  /** The newest one on which streams can be opened. */
  usable(hostId: string): HeldLink | undefined {
    return this.#links.get(hostId)?.findLast(({ link }) => link.usable);
  }

  all(): readonly HeldLink[] {
    return [...this.#links.values()].flat();
  }

  /** How many nodes. */
  get size(): number {
    return this.#links.size;
  }

  /** Waits for a link of this node. @throws CodedError `unavailable` when none has come in time. */
  async comes(hostId: string, signal: AbortSignal, withinMs: number): Promise<HeldLink> {
    const here = this.usable(hostId);
    if (here !== undefined) return here;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const come = (): void => {
      resolve(undefined);
    };
    const waiting = this.#waiting.get(hostId) ?? new Set();
    this.#waiting.set(hostId, waiting.add(come));
    const limit = startTimer(come, withinMs);
    signal.addEventListener('abort', come);
    if (signal.aborted) come();
    await promise;
    stopTimer(limit);
    signal.removeEventListener('abort', come);
    waiting.delete(come);
    if (waiting.size === 0) this.#waiting.delete(hostId);
    const found = this.usable(hostId);
    if (found === undefined) throw new CodedError('unavailable', 'it does not hang on this proxy');
    return found;
  }

  /** Each link costs memory: one machine, or all that use its key, cannot take all of it. */
  #cutSurplus(hostId: string): void {
    const links = this.#links.get(hostId) ?? [];
    if (links.length > mostOfOne) links[0]?.link.close(`this node holds more than ${mostOfOne} links`);
  }

  #count(): void {
    this.#metrics.set('proxy_tunnels', this.#links.size);
  }
}

import { backoffMs, randomFraction } from '../../base/backoff.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { signalAfter, startTicker, type Timer } from '../../base/timers.ts';
import type { World } from '../../base/world.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { Link } from '../../tunnel/link.ts';
import type { Asked } from '../../tunnel/link-options.ts';
import { dialLinkTls } from '../../tunnel/link-tls.ts';
import type { LinkWish } from '../../tunnel/link-wish.ts';
import type { DialAddress } from '../ssh/dial.ts';
import type { Way } from '../../base/first-of.ts';

/** Another proxy of the cluster. */
export interface PeerPlace {
  readonly hostId: string;
  /** Where others reach it, in the order in which they are tried. */
  readonly addresses: readonly HostPort[];
}

export interface PeersDeps {
  readonly identity: CurrentIdentity;
  /** Those that are alive. @param withOwn also this one, where another process of it listens now. */
  readonly places: (withOwn: boolean) => readonly PeerPlace[];
  readonly dialAddress: DialAddress;
  /** A link that this other proxy has opened to here. */
  readonly from: (hostId: string) => Link | undefined;
  /** What another proxy wants on a link that was opened from here. */
  readonly onAsked: (asked: Asked) => void;
  readonly world: World;
  readonly sink: LogSink;
}

const lookEveryMs = second;
const dialMs = 5 * second;
const slowest = { baseMs: second, maxMs: 30 * second };

interface Peer {
  dialling: boolean;
  link: Link | undefined;
  certificate: string;
  failures: number;
  /** Of a monotonic clock. */
  notBefore: number;
  why: string;
}

/** Links to all other proxies, kept warm: by them a node is reached that hangs elsewhere. */
export class Peers {
  readonly #deps: PeersDeps;
  readonly #peers = new Map<string, Peer>();
  readonly #ticker: Timer;
  readonly #ending = new AbortController();
  #withOwn = false;

  constructor(deps: PeersDeps) {
    this.#deps = deps;
    this.#ticker = startTicker(() => {
      this.#look();
    }, lookEveryMs);
  }

  /**
   * The ways by the other proxies to what hangs on them: those where it was said to hang come first.
   * @param isAnswer of which refusals no other proxy is asked; default: none.
   */
  waysTo(wish: LinkWish, saidAt: readonly string[], isAnswer?: Way['isAnswer']): readonly Way[] {
    const linked = [...this.#peers.keys()].flatMap((id) => {
      const link = this.#linkTo(id);
      return link === undefined ? [] : [{ id, link }];
    });
    const order = [
      ...linked.filter(({ id }) => saidAt.includes(id)),
      ...linked.filter(({ id }) => !saidAt.includes(id)),
    ];
    return order.map(({ id, link }) => ({
      name: `proxy ${id}`,
      open: (signal) => link.open(wish, signal),
      ...(isAnswer && { isAnswer }),
    }));
  }

  /** One that was opened from here, or from there: whoever is reached in one direction is reached. */
  #linkTo(hostId: string): Link | undefined {
    const own = this.#peers.get(hostId)?.link;
    return own?.usable === true ? own : this.#deps.from(hostId);
  }

  /** Those to which there is no link now, with why. */
  unreachable(): readonly { readonly hostId: string; readonly why: string }[] {
    return [...this.#peers]
      .filter(([id, { failures }]) => failures > 0 && this.#linkTo(id) === undefined)
      .map(([hostId, { why }]) => ({ hostId, why }));
  }

  /** How many are linked. */
  get linked(): number {
    return [...this.#peers.keys()].filter((id) => this.#linkTo(id) !== undefined).length;
  }

  /**
   * This process takes nobody new, and what hung here hangs elsewhere. Whoever is connected may still ask for
   * a node: so links are kept, and opened, to the end.
   * @param succeeded another process of this proxy listens at its addresses, and holds what hung here.
   */
  drain(succeeded: boolean): void {
    this.#withOwn = succeeded;
  }

  close(): void {
    this.#ending.abort();
    this.#ticker.stop();
    for (const { link } of this.#peers.values()) link?.drain('this proxy has ended');
  }

  #look(): void {
    const places = this.#deps.places(this.#withOwn);
    for (const [hostId, { link }] of this.#peers)
      if (!places.some((one) => one.hostId === hostId)) {
        link?.drain('the other proxy has left the cluster');
        this.#peers.delete(hostId);
      }
    const now = this.#deps.world.monotonic();
    for (const place of places) {
      const peer = this.#peers.get(place.hostId) ?? unknownPeer();
      this.#peers.set(place.hostId, peer);
      if (!peer.dialling && now >= peer.notBefore && !this.#isFresh(peer)) void this.#dial(place, peer);
    }
  }

  /** Under the identity that this proxy shows now. */
  #isFresh({ link, certificate }: Peer): boolean {
    return link?.usable === true && certificate === this.#deps.identity.current().tlsCertificatePem;
  }

  async #dial({ hostId, addresses }: PeerPlace, peer: Peer): Promise<void> {
    const { sink, world } = this.#deps;
    peer.dialling = true;
    const failures: string[] = [];
    for (const address of addresses)
      try {
        await this.#dialAt(hostId, address, peer);
        peer.dialling = false;
        return;
      } catch (e) {
        failures.push(messageOf(e));
      }
    peer.dialling = false;
    peer.failures++;
    const waitMs = backoffMs(peer.failures, slowest.baseMs, slowest.maxMs, 0.5 + randomFraction(world) / 2);
    peer.notBefore = world.monotonic() + waitMs;
    const why = failures.join('; ') || 'it announces no address';
    // Where the other proxy reaches this one, nothing is lacking.
    if (why !== peer.why && !this.#ending.signal.aborted && this.#linkTo(hostId) === undefined)
      sink.warn('another proxy cannot be reached: nodes are told to hang on all proxies meanwhile', {
        proxy: hostId,
        reason: why,
      });
    peer.why = why;
  }

  async #dialAt(hostId: string, address: HostPort, peer: Peer): Promise<void> {
    const { identity, dialAddress, world, sink } = this.#deps;
    const shown = identity.current();
    const signal = AbortSignal.any([this.#ending.signal, signalAfter(dialMs)]);
    const connection = await dialAddress(address, { by: 'this proxy', signal });
    const accepted = { clusterName: shown.clusterName, authorities: shown.tlsCasPem, now: world.now() };
    const { socket, peer: found } = await dialLinkTls(connection, shown, accepted, signal);
    if (found.hostId !== hostId) {
      socket.destroy();
      throw new CodedError('unavailable', `at its address answers another proxy, ${found.hostId}`);
    }
    const link = new Link(socket, {
      end: 'dialler',
      monotonic: () => world.monotonic(),
      onAsked: (asked) => {
        this.#deps.onAsked(asked);
      },
    });
    peer.link?.drain('another link took its place');
    Object.assign(peer, {
      link,
      certificate: shown.tlsCertificatePem,
      failures: 0,
      why: '',
    });
    sink.debug('another proxy is linked', { proxy: hostId });
    void link.closed.then((reason) => {
      if (peer.link !== link) return;
      Object.assign(peer, { link: undefined, why: reason });
      peer.notBefore = world.monotonic() + second * randomFraction(world);
    });
  }
}

const unknownPeer = (): Peer => ({
  dialling: false,
  link: undefined,
  certificate: '',
  failures: 0,
  notBefore: Number.NEGATIVE_INFINITY,
  why: '',
});

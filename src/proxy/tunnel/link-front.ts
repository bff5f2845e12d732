import type { X509Certificate } from 'node:crypto';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server, TLSSocket } from 'node:tls';
import { clientOf } from '../../base/client-of.ts';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { boundHandshakes } from '../../base/handshake-gate.ts';
import { joinStreams } from '../../base/join-streams.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { seldom } from '../../base/seldom.ts';
import { formatHostPort, type HostPort, type Metrics, type Strangers } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { startTicker, type Timer } from '../../base/timers.ts';
import { secureContextOf, type TlsContext } from '../../base/tls-policy.ts';
import type { World } from '../../base/world.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { Link } from '../../tunnel/link.ts';
import type { Asked } from '../../tunnel/link-options.ts';
import { LinkStream } from '../../tunnel/link-stream.ts';
import { linkServer } from '../../tunnel/link-tls.ts';
import { type LinkNotice, linkRefusalFor, linkWishOf } from '../../tunnel/link-wish.ts';
import type { ProxyViews } from '../proxy-views.ts';
import { admitLink, guestShowing, type LinkGuest, ownHostAuthorities } from './admit-link.ts';
import { HeldLinks } from './held-links.ts';
import { LeafLinks } from './leaf-links.ts';
import type { OpenRelay } from './relay-auth.ts';

export interface LinkFrontDeps {
  readonly identity: CurrentIdentity;
  readonly views: ProxyViews;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly strangers: Strangers;
  readonly openAuth: OpenRelay;
  /** What nodes that hang here are told now. */
  readonly notice: () => LinkNotice;
}

/** Who opens streams on a link, and where that machine is; undefined: its own requests name no address. */
type LinkClient = Pick<LinkGuest, 'part'> & { readonly client: HostPort | undefined };

interface Entered {
  readonly peer: LinkGuest;
  /** By which it was let in. */
  readonly certificate: X509Certificate;
}

/** How often it is looked whether nodes have to be told something new. */
const noticeEveryMs = second;

/** The end that links come to: those of nodes and of leaves, which hang here, and those of other proxies. */
export class LinkFront {
  /** Of nodes. */
  readonly held: HeldLinks;
  readonly leaves: LeafLinks;
  readonly #deps: LinkFrontDeps;
  readonly #tls: Server;
  readonly #gate: ReturnType<typeof boundHandshakes>;
  /** Every link that was let in, of nodes and of other proxies. */
  readonly #entered = new Map<Link, Entered>();
  readonly #carried = new Set<Promise<void>>();
  readonly #following: (() => void)[];
  readonly #ticker: Timer;
  /** What nodes were told last. */
  #told: { readonly notice: LinkNotice; readonly text: string } | undefined;
  readonly #tellRefusal: ReturnType<typeof seldom>;
  #draining = false;

  constructor(deps: LinkFrontDeps) {
    this.#deps = deps;
    this.held = new HeldLinks(deps.metrics);
    this.leaves = new LeafLinks(deps.metrics);
    this.#tellRefusal = seldom(deps.sink, () => deps.world.monotonic());
    deps.metrics.add('proxy_tunnels_refused_total', 0);
    const { identity, views } = deps;
    this.#tls = linkServer(this.#context(), (socket) => {
      this.#enter(socket);
    });
    this.#gate = boundHandshakes(this.#tls, {
      ...{ name: 'proxy_tunnels', metrics: deps.metrics, sink: deps.sink },
      monotonic: () => deps.world.monotonic(),
    });
    const show = (): void => {
      this.#tls.setSecureContext(secureContextOf(this.#context()));
    };
    const again = (): void => {
      this.#reconsider();
    };
    const rotated = (): void => {
      show();
      this.#drainUntrusted(true);
    };
    const subscriptions = [
      identity.changes.subscribe(show),
      views.authorities.changes.subscribe({ next: rotated, error: () => undefined }),
      views.locks.changes.subscribe({ next: again, error: () => undefined }),
      views.remoteClusters.changes.subscribe({
        next: () => {
          this.#reconsider();
          this.#drainUntrusted(true);
        },
        error: () => undefined,
      }),
    ];
    this.#following = subscriptions.map((one) => () => {
      one.unsubscribe();
    });
    this.#ticker = startTicker(() => {
      this.#tellNews();
      this.#drainUntrusted(false);
    }, noticeEveryMs);
  }

  /** A connection that begins as a link does. */
  readonly serve = (connection: Duplex): void => {
    this.#tls.emit('connection', connection);
  };

  /** Nodes and other proxies are told to go elsewhere; what they carry stays until it ends. */
  drain(): void {
    this.#draining = true;
    for (const link of this.#entered.keys()) link.drain('this proxy has ended');
  }

  /** After `drain`: resolves when no link is left, at the latest when the time is `over`. */
  async close(over: Promise<void>): Promise<void> {
    this.drain();
    await Promise.race([Promise.all([...this.#entered.keys()].map((link) => link.closed)), over]);
    this.#ticker.stop();
    for (const stop of this.#following) stop();
    this.#gate.cutWaiting();
    for (const link of this.#entered.keys()) link.close('this proxy is stopping');
    await Promise.all(this.#carried);
  }

  /** A link that another proxy has opened: streams can be opened on it from here as well. */
  from(proxy: string): Link | undefined {
    return this.#ofProxies().findLast(({ peer, link }) => peer.hostId === proxy && link.usable)?.link;
  }

  #ofProxies(): readonly (Entered & { readonly link: Link })[] {
    return [...this.#entered].flatMap(([link, one]) => (one.peer.part === 'proxy' ? [{ ...one, link }] : []));
  }

  /** For an operator who asks. */
  report(): Record<string, unknown> {
    return { tunnels: this.held.size, peersHere: this.#ofProxies().length, leaves: this.leaves.names() };
  }

  #context(): TlsContext {
    const { privateKeyPem: key, tlsCertificatePem: cert } = this.#deps.identity.server();
    return { key, cert, ca: ownHostAuthorities(this.#deps.views) };
  }

  #enter(socket: TLSSocket): void {
    const { views, world, strangers, metrics, sink } = this.#deps;
    const client = clientOf(socket).address;
    let entered: Entered;
    try {
      entered = this.#shownOn(socket);
      admitLink(entered.peer, views, world.now());
    } catch (e) {
      if (!isCoded(e)) throw e;
      metrics.add('proxy_tunnels_refused_total', 1);
      this.#tellRefusal('a tunnel was refused', { address: textOf(client), reason: e.message });
      // Whoever holds the key learns why.
      const link = new Link(socket, { end: 'acceptor' });
      link.notify(linkRefusalFor(e.message));
      link.drain(e.message);
      return;
    }
    const { peer } = entered;
    if (socket instanceof Socket) strangers.recognised(socket);
    socket.setNoDelay(true);
    const link = new Link(socket, {
      end: 'acceptor',
      monotonic: () => world.monotonic(),
      onAsked: (asked) => {
        this.answer({ ...peer, client }, asked);
      },
    });
    this.#entered.set(link, entered);
    void link.closed.then(() => this.#entered.delete(link));
    if (peer.part === 'node') {
      this.#warnOfTwins(peer, client);
      this.held.hold({ peer, link, client });
      sink.debug('a node hangs here now', { node: peer.hostId, address: textOf(client) });
    }
    if (peer.part === 'leaf') {
      this.leaves.hold({ peer, link });
      const { clusterName: cluster, hostId: proxy } = peer;
      sink.info('a proxy of another cluster hangs here now', { cluster, proxy, address: textOf(client) });
    }
    if (peer.part !== 'proxy') link.notify(this.#told?.notice ?? this.#deps.notice());
    if (this.#draining) link.drain('this proxy has ended');
  }

  #shownOn(socket: TLSSocket): Entered {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined)
      throw new CodedError('access_denied', 'a link needs the certificate of a machine of the cluster');
    return { certificate, peer: this.#guest(certificate) };
  }

  #guest(certificate: X509Certificate): LinkGuest {
    const { views, identity, world } = this.#deps;
    return guestShowing(certificate, views, identity, world.now());
  }

  /** A machine that was copied, or whose key was stolen, hangs here from two places. */
  #warnOfTwins({ hostId }: LinkGuest, client: HostPort | undefined): void {
    const other = this.held.usable(hostId);
    if (other === undefined || other.client?.host === client?.host) return;
    this.#deps.sink.warn(
      'a node hangs here from two addresses: its address has just changed, or two machines use one identity (lock it if so)',
      { node: hostId, before: textOf(other.client), now: textOf(client) },
    );
  }

  #reconsider(): void {
    const { views, world, sink } = this.#deps;
    for (const [link, { peer }] of this.#entered)
      try {
        admitLink(peer, views, world.now());
      } catch (e) {
        if (!isCoded(e)) throw e;
        sink.warn('a tunnel was cut', { ...whoIs(peer), reason: e.message });
        link.notify(linkRefusalFor(e.message));
        link.dismiss(e.message);
      }
  }

  /**
   * Links under a certificate that has expired, or by a key that is not trusted any more: nothing is opened
   * on them from now on, by either end. What they carry began while it was valid, and stays.
   * @param rotated else only the time has passed, which is cheaper to check.
   */
  #drainUntrusted(rotated: boolean): void {
    const { world, sink } = this.#deps;
    const now = world.now();
    for (const [link, { peer, certificate }] of this.#entered) {
      if (!link.usable || (!rotated && Date.parse(now) < certificate.validToDate.getTime())) continue;
      try {
        this.#guest(certificate);
      } catch (e) {
        if (!isCoded(e)) throw e;
        sink.info('a tunnel ends with what it carries: its certificate is not valid any more', whoIs(peer));
        link.drain('its certificate is not valid any more');
      }
    }
  }

  #tellNews(): void {
    const notice = this.#deps.notice();
    const text = JSON.stringify(notice);
    if (text === this.#told?.text) return;
    this.#told = { notice, text };
    for (const { link } of [...this.held.all(), ...this.leaves.all()]) link.notify(notice);
  }

  /** Opens what the machine at the other end of a link wants. */
  answer(peer: LinkClient, asked: Asked): void {
    this.#open(peer, asked).then(
      (target) => {
        const joined = joinStreams(
          asked.accept(target instanceof LinkStream ? target.told : undefined),
          target,
        );
        this.#carried.add(joined);
        void joined.then(() => this.#carried.delete(joined));
      },
      (e: unknown) => {
        const { sink } = this.#deps;
        if (!isCoded(e)) sink.error('a stream of a tunnel could not be opened', { reason: messageOf(e) });
        asked.refuse(isCoded(e) ? e : new CodedError('internal', 'this proxy failed'));
      },
    );
  }

  /** Never by way of a third proxy: what is asked for does not go round in circles. */
  async #open({ part, client }: LinkClient, { wish, signal }: Asked): Promise<Duplex> {
    const wanted = linkWishOf(wish);
    if (wanted.to === 'auth' && part !== 'leaf') return this.#deps.openAuth(client, signal);
    if (wanted.to === 'node' && part === 'proxy') {
      const found = this.held.usable(wanted.hostId);
      if (found === undefined) throw new CodedError('not_found', 'the node does not hang on this proxy');
      return found.link.open({ to: 'own-node' }, signal);
    }
    if (wanted.to === 'leaf' && part === 'proxy') {
      const { clusterName, ...request } = wanted;
      return this.leaves.open(clusterName, request, signal);
    }
    throw new CodedError('access_denied', 'this is not opened for a machine in that role');
  }
}

const whoIs = ({ hostId, role, part, clusterName }: LinkGuest): Record<string, string> => ({
  ...{ host: hostId, role },
  ...(part === 'leaf' && { cluster: clusterName }),
});

const textOf = (client: HostPort | undefined): string =>
  formatHostPort(client ?? { host: 'unknown', port: 0 });

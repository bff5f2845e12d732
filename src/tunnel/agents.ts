import type { Duplex } from 'node:stream';
import { pause } from '../base/backoff.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { second } from '../base/time.ts';
import { signalAfter } from '../base/timers.ts';
import type { World } from '../base/world.ts';
import type { CurrentIdentity } from '../pki/current-identity.ts';
import { Link } from './link.ts';
import type { Asked } from './link-options.ts';
import { dialLinkTls } from './link-tls.ts';
import { type LinkNotice, linkNoticeOf, type LinkWish } from './link-wish.ts';
import { allSaid, type LinkPlace, linksWanted, planLinks } from './plan-links.ts';

/** The cluster on whose proxies a machine hangs, where that is not its own. */
export interface OtherCluster {
  readonly clusterName: string;
  /** PEM: of its host authority, those that are trusted now. */
  authorities(): readonly string[];
  /** Called back when these have changed. */
  readonly changes: { subscribe(act: () => void): { unsubscribe(): void } };
}

export interface AgentsDeps {
  readonly identity: CurrentIdentity;
  /** Default: it hangs on proxies of its own cluster. */
  readonly other?: OtherCluster;
  /** The machine, in messages: `this node`. */
  readonly subject: string;
  /** A connection to a proxy, on which TLS has not begun. @throws CodedError `unavailable` */
  readonly dial: (place: LinkPlace, signal: AbortSignal) => Promise<Duplex>;
  /** Called when no link could be opened at what is configured. */
  readonly onFailure?: () => void;
  readonly world: World;
  readonly sink: LogSink;
  /** Called whenever something has changed, for each proxy that it has ever hung on. */
  readonly measure: (proxy: string, held: boolean) => void;
  /** In [0, 1). */
  readonly random: () => number;
}

/** The links of a machine that others reach through proxies. */
export interface Agents {
  /** Host ids of the proxies that it hangs on, the oldest link first. */
  held(): readonly string[];
  /** `onChange` is called when `held` has changed. */
  onChange(act: () => void): void;
  /**
   * `act` is called when streams had better be opened again: there is a link where there was none, or the
   * one that carries them is about to end.
   */
  onMove(act: () => void): void;
  /** `onAsked` is called for each stream that a proxy opens; before it is set they are refused. */
  serve(onAsked: (asked: Asked) => void): void;
  /** A stream through a proxy. @throws CodedError `unavailable` while there is none, or as it refuses. */
  open(wish: LinkWish, signal: AbortSignal): Promise<Duplex>;
  /** Resolves when it hangs on a proxy, or `signal` is aborted. */
  first(signal: AbortSignal): Promise<void>;
  /** Why it hangs on fewer proxies than it should; undefined while it does not. */
  trouble(): string | undefined;
  /** Takes no new streams, and opens no new links. */
  leave(): void;
  /** Ends all links, with their streams. */
  close(): void;
}

/** From the first byte to the end of the TLS handshake. */
const dialMs = 10 * second;
/** A link that has lived so long was a good one: attempts count from the beginning again. */
const settledMs = 10 * second;
/** How long it may lack links before that is reported. */
const patienceMs = 30 * second;

interface Held {
  readonly link: Link;
  readonly proxy: string;
  /** By what both ends were known to each other. */
  readonly standing: string;
  readonly sinceMs: number;
  /** What this proxy said last. */
  notice: LinkNotice | undefined;
}

/** Opens links, as many as the proxies say, and keeps them. */
export function openAgents(deps: AgentsDeps): Agents {
  return new LinkAgents(deps);
}

class LinkAgents implements Agents {
  readonly #deps: AgentsDeps;
  #links: readonly Held[] = [];
  /** What the proxies of the last links said; kept while there is none. */
  #notice: LinkNotice | undefined;
  #onAsked: ((asked: Asked) => void) | undefined;
  readonly #first = Promise.withResolvers<undefined>();
  #tellChange: () => void = () => undefined;
  #tellMove: () => void = () => undefined;
  /** What is open on links is to move as soon as there is another one. */
  #toMove = true;
  /** Every proxy that it has hung on. */
  readonly #known = new Set<string>();
  #failed = 0;
  #repeated = 0;
  #attempts = 0;
  #why = 'no proxy has been reached yet';
  #lackingSince: number | undefined;
  /** When the next link is dialled, by the monotonic clock; news in the meantime do not put it off. */
  #due = Number.POSITIVE_INFINITY;
  readonly #ending = new AbortController();
  #wake = new AbortController();
  readonly #following: readonly { unsubscribe(): void }[];

  constructor(deps: AgentsDeps) {
    this.#deps = deps;
    this.#lackingSince = deps.world.monotonic();
    const again = (): void => {
      this.#wake.abort();
    };
    const { identity, other } = deps;
    this.#following = [
      identity.changes.subscribe(again),
      ...(other === undefined ? [] : [other.changes.subscribe(again)]),
    ];
    void this.#run();
  }

  held(): readonly string[] {
    return [...new Set(this.#usable().map(({ proxy }) => proxy))];
  }

  onChange(act: () => void): void {
    this.#tellChange = act;
  }

  onMove(act: () => void): void {
    this.#tellMove = act;
  }

  serve(onAsked: (asked: Asked) => void): void {
    this.#onAsked = onAsked;
  }

  async open(wish: LinkWish, signal: AbortSignal): Promise<Duplex> {
    const [newest] = this.#usable().toReversed();
    if (newest === undefined)
      throw new CodedError('unavailable', `there is no link to a proxy: ${this.#why}`);
    return newest.link.open(wish, signal);
  }

  first(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      void this.#first.promise.then(resolve);
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
  }

  trouble(): string | undefined {
    const { subject, world } = this.#deps;
    const now = world.monotonic();
    const [wanted, held] = [linksWanted(this.#notice), this.held().length];
    if (held >= wanted) return undefined;
    if (held > 0 && now - (this.#lackingSince ?? now) < patienceMs) return undefined;
    return held === 0
      ? `no proxy holds a link of ${subject}: ${this.#why}`
      : `${subject} hangs on ${held} of ${wanted} proxies: ${this.#why}`;
  }

  leave(): void {
    this.#ending.abort();
    for (const { link } of this.#links) link.leave();
  }

  close(): void {
    this.#ending.abort();
    for (const one of this.#following) one.unsubscribe();
    for (const { link } of this.#links) link.close(`${this.#deps.subject} is stopping`);
  }

  #usable(): readonly Held[] {
    return this.#links.filter(({ link }) => link.usable);
  }

  /** Links under the identity of now, and to who is trusted now. */
  #fresh(): readonly Held[] {
    const now = this.#standing();
    return this.#usable().filter(({ standing }) => standing === now);
  }

  /**
   * Within one cluster every rotation that matters to a link gives this machine another certificate. Keys of
   * another cluster change without that.
   */
  #standing(): string {
    const { identity, other } = this.#deps;
    return [identity.current().tlsCertificatePem, ...(other?.authorities() ?? [])].join();
  }

  async #run(): Promise<void> {
    const { random, world } = this.#deps;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      this.#wake = new AbortController();
      const woken = AbortSignal.any([signal, this.#wake.signal]);
      const held = [...new Set(this.#fresh().map(({ proxy }) => proxy))];
      const counts = { failed: this.#failed, repeated: this.#repeated, attempts: this.#attempts };
      const plan = planLinks({ notice: this.#notice, held, ...counts }, random());
      if (plan.status === 'enough') {
        this.#release(plan.surplus);
        this.#due = Number.POSITIVE_INFINITY;
        await pause(Number.POSITIVE_INFINITY, woken);
        continue;
      }
      const now = world.monotonic();
      this.#due = Math.min(this.#due, now + plan.afterMs);
      await pause(this.#due - now, woken);
      // What has changed in the meantime may call for another place, or for none.
      if (woken.aborted) continue;
      this.#due = Number.POSITIVE_INFINITY;
      await this.#attempt(plan.place, held);
    }
  }

  /** Links that are not needed any more: under an older identity, and more than are wanted. */
  #release(surplus: readonly string[]): void {
    const fresh = this.#fresh();
    const older = this.#usable().filter((held) => !fresh.includes(held));
    const spare = fresh.filter(({ proxy }) => surplus.includes(proxy));
    for (const { link } of older) link.drain('another link took its place');
    for (const { link } of spare) link.drain('fewer links are needed');
    if (older.length + spare.length > 0) this.#tellMove();
  }

  async #attempt(place: LinkPlace, held: readonly string[]): Promise<void> {
    const { identity, other, dial, world, sink } = this.#deps;
    this.#attempts++;
    const [shown, standing] = [identity.current(), this.#standing()];
    const signal = AbortSignal.any([this.#ending.signal, signalAfter(dialMs)]);
    try {
      const connection = await dial(place, signal);
      const accepted = {
        clusterName: other?.clusterName ?? shown.clusterName,
        authorities: other?.authorities() ?? shown.tlsCasPem,
        now: world.now(),
      };
      const { socket, peer } = await dialLinkTls(connection, shown, accepted, signal);
      if (held.includes(peer.hostId)) {
        socket.destroy();
        this.#repeated++;
        this.#why = 'the configured address led to a proxy that it hangs on already';
        return;
      }
      this.#hold(socket, { proxy: peer.hostId, standing });
    } catch (e) {
      if (this.#ending.signal.aborted) return;
      this.#failed++;
      // Nothing is known of another way: the addresses of proxies come from their notices. To search the
      // ways again takes connections, and with them turns of a balancer: an even number of them would lead
      // to the same proxy each time.
      if (place.status === 'configured') this.#deps.onFailure?.();
      const why = messageOf(e);
      if (why !== this.#why)
        sink.warn('a tunnel to a proxy could not be opened', {
          ...this.#about(),
          ...placeField(place),
          reason: why,
        });
      this.#why = why;
    }
  }

  #hold(socket: Duplex, about: Pick<Held, 'proxy' | 'standing'>): void {
    const { world, sink, subject } = this.#deps;
    const { proxy } = about;
    const fields = { ...this.#about(), proxy };
    const link = new Link(socket, {
      end: 'dialler',
      monotonic: () => world.monotonic(),
      onAsked: (asked) => {
        if (this.#onAsked === undefined)
          asked.refuse(new CodedError('unavailable', `${subject} is starting`));
        else this.#onAsked(asked);
      },
      onLeave: () => {
        sink.info('a proxy is about to go: another tunnel takes the place of this one', fields);
        link.drain('the proxy was about to go');
        this.#toMove = true;
        this.#changed();
      },
      onNotice: (said) => {
        const notice = linkNoticeOf(said);
        if (notice === undefined) return; // of a newer release
        if ('refused' in notice) {
          link.close(`the proxy refused it: ${notice.refused}`);
          return;
        }
        one.notice = notice;
        this.#listen();
        // What failed before may work now.
        this.#failed = 0;
        this.#repeated = 0;
        this.#reckon();
        this.#wake.abort();
      },
    });
    const one: Held = { link, ...about, sinceMs: world.monotonic(), notice: undefined };
    this.#links = [...this.#links, one];
    this.#first.resolve(undefined);
    sink.info('a tunnel to a proxy is open', fields);
    void link.closed.then((reason) => {
      this.#links = this.#links.filter((other) => other !== one);
      if (world.monotonic() - one.sinceMs > settledMs) this.#failed = 0;
      else this.#failed++;
      if (!this.#ending.signal.aborted) sink.warn('a tunnel to a proxy has ended', { ...fields, reason });
      this.#why = reason;
      this.#changed();
    });
    this.#changed();
  }

  /** A proxy that is left says nothing any more, and what it said last may be out of date by now. */
  #listen(): void {
    this.#notice = allSaid(this.#usable().flatMap(({ notice }) => notice ?? [])) ?? this.#notice;
  }

  #reckon(): void {
    const lacks = this.held().length < linksWanted(this.#notice);
    this.#lackingSince = lacks ? (this.#lackingSince ?? this.#deps.world.monotonic()) : undefined;
  }

  #measure(): void {
    const held = this.held();
    for (const proxy of held) this.#known.add(proxy);
    for (const proxy of this.#known) this.#deps.measure(proxy, held.includes(proxy));
  }

  #about(): Readonly<Record<string, string>> {
    const { other } = this.#deps;
    return other === undefined ? {} : { cluster: other.clusterName };
  }

  #changed(): void {
    this.#measure();
    // Another set is held: what led to a proxy of the one before may lead elsewhere now.
    this.#repeated = 0;
    this.#listen();
    this.#reckon();
    const usable = this.#usable().length > 0;
    const move = this.#toMove && usable;
    this.#toMove = !usable;
    this.#tellChange();
    if (move) this.#tellMove();
    this.#wake.abort();
  }
}

const placeField = (place: LinkPlace): Record<string, string> =>
  place.status === 'configured' ? {} : { proxy: place.hostId, address: place.address };

import { backoffMs, randomFraction } from '../../base/backoff.ts';
import { errorCodes, isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { hour, minute, msBetween, second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import { longestRetryMs, type RenewalPlan, renewalPlan } from '../../domain/certificate-renewal.ts';
import { type AuthorityState, keysInUse, type KeysInUse } from '../../domain/authority-state.ts';
import { phaseOfMark, rotationMark } from '../../domain/rotation-mark.ts';
import type { ReplaceableIdentity, ShownIdentities } from '../../pki/current-identity.ts';
import { type HostCertificateLife, hostCertificateLife } from '../../pki/host-certificate-life.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { namesAlreadyHeld, newNames, type WantedNames } from './certified-names.ts';
import { forgetPendingKey, loadIdentity, saveShown, withOlder } from './identity-store.ts';
import { keyOf, settled } from './shown-identities.ts';

/** The host authority, as this machine knows it. */
export interface FollowedAuthority {
  state(): AuthorityState;
  /** `onChange` is called after each change. It does not throw. */
  subscribe(onChange: () => void): { unsubscribe(): void };
}

export interface RenewalDeps {
  /** Replaced by each new one, once that is stored. */
  readonly identity: ReplaceableIdentity;
  readonly dataDir: string;
  /** The configured names. */
  readonly names: WantedNames;
  /** Which key signs, and what a machine should show. */
  readonly authority: FollowedAuthority;
  /** Over how long the machines of the cluster spread what all of them report at once. */
  readonly spreadMs: () => number;
  /** Has this machine certified again. */
  readonly certify: (names: WantedNames) => Promise<HostIdentity>;
  readonly world: World;
  readonly sink: LogSink;
  /** Resolves early when `signal` is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface Renewal {
  /** Resolves when configured names that the certificates lack were requested once; never rejects. */
  readonly namesAsked: Promise<void>;
  /** That a renewal is overdue, until when the certificates are valid, and why; undefined otherwise. */
  trouble(): string | undefined;
  close(): void;
}

const notTried = 'it was not tried yet';
/** The clock may be set in the meantime, or the machine may sleep. */
const longestLookMs = 10 * minute;
/**
 * The longest time between two attempts to get certificates under the key that signs now: whoever takes the
 * next step of the rotation waits.
 */
const longestTurnRetryMs = 15 * second;
/**
 * A renewal costs an auth server as much as so many reports: two signatures, two facts, and new connections
 * without a TLS session to resume (docs/scaling.md: 10 ms for a node that comes, 1 for a heartbeat). It is
 * spread over so many times as long, so that people who log in meanwhile do not wait behind them.
 */
const reportsPerRenewal = 10;
/** What goes on failing for the same reason is repeated in the log so often. */
const toldAgainMs = 24 * hour;

/**
 * Keeps the certificates of a machine from expiring. They are renewed after two thirds of their lifetime, at
 * once where the configuration has names that they lack, and when another key of the authority signs. During
 * a rotation of the authority it also keeps up to date what the machine shows and trusts. Tries until it
 * succeeds.
 */
export function keepRenewed(deps: RenewalDeps): Renewal {
  const renewing = new Renewing(deps);
  return {
    namesAsked: renewing.begin(),
    trouble: () => renewing.trouble(),
    close: () => {
      renewing.close();
    },
  };
}

class Renewing {
  readonly #deps: RenewalDeps;
  readonly #startedAt: string;
  readonly #closed = new AbortController();
  #life: HostCertificateLife;
  /** The certificate that has this life. */
  #reckoned: string;
  #plan: RenewalPlan;
  #reason = notTried;
  readonly #following: readonly { unsubscribe(): void }[];
  /** Aborted when the authority has changed. */
  #changed = new AbortController();
  /** For which phase of a rotation new certificates are due, and from when on, by the monotonic clock. */
  #turn = { mark: '', from: -Infinity };
  /** When new names that were refused are requested again, by the monotonic clock. */
  #namesAgainAt = Infinity;
  /** The failure that was last logged, and when. */
  #told = { reason: '', overdue: false, at: -Infinity };

  constructor(deps: RenewalDeps) {
    this.#deps = deps;
    this.#startedAt = deps.world.now();
    this.#life = hostCertificateLife(deps.identity.current());
    this.#reckoned = deps.identity.current().tlsCertificatePem;
    this.#plan = this.#planned();
    this.#following = [
      deps.authority.subscribe(() => {
        this.#changed.abort();
      }),
      // By others too: whoever joins again has another one.
      deps.identity.changes.subscribe(({ client }) => {
        this.#reckonWith(client);
      }),
    ];
  }

  /** @returns once the new names were requested. */
  async begin(): Promise<void> {
    const settled = await this.#askForNames();
    void this.#run(settled);
  }

  close(): void {
    for (const one of this.#following) one.unsubscribe();
    this.#closed.abort();
  }

  trouble(): string | undefined {
    return this.#overdue() ?? this.#lagging();
  }

  /** Whoever takes the next step of a rotation waits for this machine, and needs to know why. */
  #lagging(): string | undefined {
    if (this.#reason === notTried || !this.#isOfOtherKey()) return undefined;
    const { authority, identity } = this.#deps;
    const { role } = identity.current();
    return (
      `this ${role} could not get certificates of the key of the host authority that signs since its rotation is in ` +
      `phase ${phaseOfMark(rotationMark(authority.state())) ?? 'unknown'} (${this.#reason}); tries again`
    );
  }

  #overdue(): string | undefined {
    const { until } = this.#life;
    const now = this.#deps.world.now();
    if (until === undefined || this.#plan.overdueAt === undefined || now < this.#plan.overdueAt)
      return undefined;
    const { role } = this.#deps.identity.current();
    const why = `should have been renewed at ${this.#plan.at} (${this.#reason})`;
    return now < until
      ? `the certificates of this ${role} end at ${until} and ${why}; after that it has to join again with a token`
      : `the certificates of this ${role} ended at ${until} and ${why}; it has to join again with a token`;
  }

  /** @returns whether nothing is left to request. */
  async #askForNames(): Promise<boolean> {
    const { identity, names, sink } = this.#deps;
    const missing = newNames(identity.current(), names);
    if (missing.length === 0) return true;
    sink.info('the configuration has names that the certificates of this machine lack: asks for new ones', {
      role: identity.current().role,
      names: missing.join(', '),
    });
    try {
      await this.#renewWith(names);
      return true;
    } catch (e) {
      sink.warn('the certificates could not be renewed with new names', {
        ...{ role: identity.current().role, names: missing.join(', '), reason: reasonOf(e) },
      });
      this.#namesAgainAt = this.#deps.world.monotonic() + longestRetryMs(this.#life);
      return false;
    }
  }

  async #run(namesAreSettled: boolean): Promise<void> {
    const { signal } = this.#closed;
    const closed = (): boolean => signal.aborted;
    let settled = namesAreSettled;
    for (let failures = 0; !closed();) {
      this.#changed = new AbortController();
      await this.#deps.pause(
        this.#waitMs(failures, settled),
        AbortSignal.any([signal, this.#changed.signal]),
      );
      if (closed()) return;
      if (this.#isDue()) failures = (await this.#succeeds()) ? 0 : failures + 1;
      else if (!settled && this.#deps.world.monotonic() >= this.#namesAgainAt)
        settled = await this.#askForNames();
    }
  }

  #isDue(): boolean {
    return this.#deps.world.now() >= this.#plan.at || this.#settled() !== undefined || this.#turnInMs() === 0;
  }

  #keys(): KeysInUse | undefined {
    const state = this.#deps.authority.state();
    return state.status === 'absent' ? undefined : keysInUse(state);
  }

  /** Whether a key other than that of the newest certificates signs now. */
  #isOfOtherKey(): boolean {
    const keys = this.#keys();
    return keys !== undefined && keyOf(this.#deps.identity.current(), keys.trusted) !== keys.clients.keyId;
  }

  /** What should be shown and trusted instead; undefined: no change. */
  #settled(): ShownIdentities | undefined {
    const shown = this.#deps.identity.shown();
    const keys = this.#keys();
    const wanted = keys === undefined ? shown : settled(shown, keys, this.#deps.world.now());
    return wanted === shown ? undefined : wanted;
  }

  /**
   * After how many milliseconds this machine requests certificates under the key that signs now; undefined
   * when it has them. The moment is drawn once for each phase.
   */
  #turnInMs(): number | undefined {
    if (!this.#isOfOtherKey()) return undefined;
    const { authority, world, spreadMs } = this.#deps;
    const mark = rotationMark(authority.state());
    if (this.#turn.mark !== mark)
      this.#turn = {
        mark,
        from: world.monotonic() + reportsPerRenewal * spreadMs() * randomFraction(world),
      };
    return Math.max(0, this.#turn.from - world.monotonic());
  }

  /** Until the next look. */
  #waitMs(failures: number, settled: boolean): number {
    const turnMs = this.#turnInMs();
    const retryMs = Math.min(
      longestRetryMs(this.#life),
      turnMs === undefined ? Infinity : longestTurnRetryMs,
    );
    if (failures > 0) return backoffMs(failures, second, retryMs, 0.5 + randomFraction(this.#deps.world) / 2);
    if (this.#settled() !== undefined) return 0;
    const leftMs = Math.max(0, msBetween(this.#deps.world.now(), this.#plan.at));
    return Math.min(leftMs, turnMs ?? Infinity, longestLookMs, settled ? Infinity : retryMs);
  }

  async #succeeds(): Promise<boolean> {
    try {
      // Before anything is stored: another process may have stored a newer one.
      this.#takeStored();
      this.#settle();
      if (!this.#isDue()) return true;
      await this.#renew();
      // This machine may be a phase ahead of or behind the server that signed.
      this.#settle();
      return !this.#isOfOtherKey();
    } catch (e) {
      this.#reason = reasonOf(e);
      this.#tell(isCoded(e) ? undefined : e);
      return false;
    }
  }

  #settle(): void {
    const wanted = this.#settled();
    if (wanted === undefined) return;
    saveShown(this.#deps.dataDir, wanted);
    this.#deps.identity.replace(wanted);
  }

  /**
   * Another process of this data directory, before or after a reload, may have renewed it in the meantime.
   */
  #takeStored(): void {
    const { identity, dataDir } = this.#deps;
    const { role, hostId } = identity.current();
    const stored = loadIdentity(dataDir, role, hostId);
    if (stored === undefined) return;
    const keys = this.#keys();
    // Two phases may follow one another within the same second, which is the precision of certificates.
    const isOfKeyWanted =
      keys !== undefined && this.#isOfOtherKey() && keyOf(stored, keys.trusted) === keys.clients.keyId;
    if (!isOfKeyWanted && hostCertificateLife(stored).madeAt <= this.#life.madeAt) return;
    this.#take(stored);
  }

  /** A name that is refused now must not cost this machine the names that it already has. */
  async #renew(): Promise<void> {
    const { identity, names, sink } = this.#deps;
    try {
      await this.#renewWith(names);
    } catch (e) {
      const held = namesAlreadyHeld(identity.current(), names);
      const isAboutNames = isCoded(e) && !errorCodes[e.code].retry && !sameNames(held, names);
      if (!isAboutNames) throw e;
      sink.warn('the certificates are renewed with the names that they have, without new ones', {
        reason: e.message,
      });
      await this.#renewWith(held);
    }
  }

  async #renewWith(names: WantedNames): Promise<void> {
    const { dataDir, certify, sink } = this.#deps;
    const certified = await certify(names);
    const identity = { ...certified, askedNames: [names.nodename, ...names.additionalPrincipals] };
    saveShown(dataDir, this.#shownWith(identity));
    forgetPendingKey(dataDir, identity.role);
    this.#take(identity);
    sink.info('the certificates of this machine were renewed', {
      role: identity.role,
      until: this.#life.until,
    });
  }

  /** Callers see the older one until the authority requires the newer one there. */
  #shownWith(client: HostIdentity): ShownIdentities {
    const keys = this.#keys();
    const shown = withOlder(client, this.#deps.identity.server());
    return keys === undefined ? shown : settled(shown, keys, this.#deps.world.now());
  }

  #take(identity: HostIdentity): void {
    this.#deps.identity.replace(this.#shownWith(identity));
  }

  #reckonWith(identity: HostIdentity): void {
    if (identity.tlsCertificatePem === this.#reckoned) return;
    this.#reckoned = identity.tlsCertificatePem;
    this.#life = hostCertificateLife(identity);
    this.#plan = this.#planned();
    this.#reason = notTried;
    this.#told = { reason: '', overdue: false, at: -Infinity };
    this.#changed.abort();
  }

  #planned(): RenewalPlan {
    return renewalPlan(this.#life, { random: randomFraction(this.#deps.world), startedAt: this.#startedAt });
  }

  #tell(bug: unknown): void {
    const { sink, world, identity } = this.#deps;
    if (bug !== undefined)
      sink.error('the renewal of certificates failed', { reason: this.#reason, stack: (bug as Error).stack });
    const trouble = this.#overdue();
    const now = { reason: this.#reason, overdue: trouble !== undefined, at: world.monotonic() };
    const { reason, overdue, at } = this.#told;
    if (now.reason === reason && now.overdue === overdue && now.at - at < toldAgainMs) return;
    this.#told = now;
    sink.warn(trouble ?? 'the certificates of this machine could not be renewed yet; tries again', {
      ...{ role: identity.current().role, until: this.#life.until, reason: this.#reason },
    });
  }
}

const sameNames = (a: WantedNames, b: WantedNames): boolean =>
  a.nodename === b.nodename && a.additionalPrincipals.length === b.additionalPrincipals.length;

/** An auth server of an older release does not know the operation. */
const reasonOf = (e: unknown): string =>
  isCoded(e, 'not_found')
    ? 'the auth servers are of a release that renews no certificates: upgrade them'
    : messageOf(e);

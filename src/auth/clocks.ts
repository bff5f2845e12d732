import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import { type Instant, minute, msBetween, second } from '../base/time.ts';
import { startTicker, stopTimer } from '../base/timers.ts';
import { type ClockVerdict, type ClockVote, judgeClock } from '../domain/clock-votes.ts';
import { hostsInRole } from '../views/sorted-hosts.ts';
import { seenOf } from '../views/presence.ts';
import type { AuthViews } from './auth-views.ts';
import type { FoldLag } from './log/fold-lag.ts';
import { sourceOf } from './limits/rate-limit.ts';

/** Whether the clock of this auth server can be trusted. */
export interface ClockWatch {
  /**
   * Records the time that a host reported, by its clock, from this address. Hosts behind one address have one
   * vote, which the last of them sets: anybody with a token can make host ids, but not addresses.
   */
  hear(hostId: string, saidAt: Instant, address: string): void;
  verdict(): ClockVerdict;
  /** @throws CodedError `unavailable` while most of the others contradict the clock of this server. */
  require(): void;
  /** For `/readyz`, while this server decides and writes nothing. */
  trouble(): string | undefined;
  /** While clocks differ and this server continues: its own clock is right, or it cannot be decided. */
  notice(): string | undefined;
  /** Reads what the other auth servers reported lately, and logs what has changed. */
  look(): void;
  close(): void;
}

export interface ClockWatchOptions {
  readonly views: Pick<AuthViews, 'hosts' | 'presence' | 'clock'>;
  readonly lag: Pick<FoldLag, 'trouble'>;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Of this auth server. */
  readonly hostId: string;
}

/** What one machine reported, and when it arrived, by `ReaderClock.monotonic`. */
interface Heard {
  readonly who: string;
  readonly saidAt: Instant;
  readonly heardMs: number;
}

const lookEveryMs = 5 * second;
/** Hosts report once a minute, auth servers three times. */
const countsForMs = 3 * minute;
/** A report that took long makes a clock look behind: among this many, the quickest counts. */
const wordsKept = 3;
const maxHosts = 1_000;
const toldEveryMs = 10 * minute;

/**
 * Compares the clock of this auth server with those of the others, from their announcements on the log, and
 * with those of the hosts that send it heartbeats. Reports from before it started, and those that came while
 * it was behind the store, do not count because they are old. The verdict uses the clock of this moment, so
 * that the server continues as soon as its clock is set right.
 */
export function watchClocks(options: ClockWatchOptions): ClockWatch {
  const { views, lag, sink, metrics, hostId } = options;
  const { clock } = views;
  const beganMs = clock.monotonic();
  const words = {
    authServers: new Map<string, readonly Heard[]>(),
    /** By the address they come from. */
    hosts: new Map<string, readonly Heard[]>(),
  };
  let judged: { readonly found: ClockVerdict; readonly ms: number; readonly now: Instant } | undefined;
  let told: { readonly status: ClockVerdict['status']; readonly ms: number } | undefined;

  const keep = (of: Map<string, readonly Heard[]>, place: string, word: Heard): void => {
    const before = of.get(place) ?? [];
    if (before.at(-1)?.heardMs === word.heardMs) return;
    of.delete(place);
    of.set(place, [...before, word].slice(-wordsKept));
    if (of.size > maxHosts)
      for (const oldest of of.keys()) {
        of.delete(oldest);
        break;
      }
  };

  const hearAuthServers = (): void => {
    if (lag.trouble() !== undefined) return;
    for (const other of hostsInRole(views.hosts.state(), 'Auth')) {
      const seen = other.hostId === hostId ? undefined : seenOf(views.presence.state(), other);
      if (seen === undefined || seen.heardMs <= beganMs || seen.ttlMs === 0) continue;
      keep(words.authServers, other.hostId, {
        who: other.hostId,
        saidAt: seen.lastSeenAt,
        heardMs: seen.heardMs,
      });
    }
  };

  const votesOf = (of: ReadonlyMap<string, readonly Heard[]>): ClockVote[] => {
    const [ms, now] = [clock.monotonic(), clock.now()];
    return [...of.values()].flatMap((all) => {
      const fresh = all.filter(({ heardMs }) => ms - heardMs <= countsForMs);
      const ahead = fresh.map(({ saidAt, heardMs }) => msBetween(now, saidAt) + (ms - heardMs));
      const who = fresh.at(-1)?.who;
      return who === undefined ? [] : [{ who, aheadMs: Math.max(...ahead) }];
    });
  };

  const judge = (): ClockVerdict => {
    const found = judgeClock({ authServers: votesOf(words.authServers), hosts: votesOf(words.hosts) });
    judged = { found, ms: clock.monotonic(), now: clock.now() };
    return found;
  };
  /** Asked before each append; computed again once a second, and when the clock was set. */
  const verdict = (): ClockVerdict => {
    if (judged === undefined) return judge();
    const passedMs = clock.monotonic() - judged.ms;
    const wasSet = Math.abs(msBetween(judged.now, clock.now()) - passedMs) > second;
    return passedMs > second || wasSet ? judge() : judged.found;
  };
  const nameOf = (id: string): string =>
    hostsInRole(views.hosts.state(), 'Auth').find((one) => one.hostId === id)?.nodename ?? id;
  const trouble = (): string | undefined => {
    const found = verdict();
    return found.status === 'own_wrong'
      ? `decides and writes nothing: its clock is ${apart(found.aheadMs)} those of ${found.agreeing} of the ${found.heard} ` +
          'machines it hears, which agree: set it (chrony, ntpd)'
      : undefined;
  };
  const notice = (): string | undefined => {
    const found = verdict();
    if (found.status !== 'others_wrong' && found.status !== 'undecided') return undefined;
    const [first] = found.differing;
    if (first === undefined) return undefined;
    const more = found.differing.length > 1 ? `, and ${found.differing.length - 1} more differ` : '';
    const whose =
      found.status === 'undecided'
        ? 'which of them is wrong is not known here'
        : 'most of the others agree with this one';
    return `the clock of ${nameOf(first.who)} is ${apart(first.aheadMs)} that of this auth server${more}; ${whose}: set the clocks (chrony, ntpd)`;
  };

  const tell = (status: ClockVerdict['status'], what: string, differing: readonly ClockVote[]): void => {
    const ms = clock.monotonic();
    if (told?.status === status && ms - told.ms < toldEveryMs) return;
    told = { status, ms };
    sink.warn(what, {
      here: clock.now(),
      differing: differing.slice(0, 5).map(({ who, aheadMs }) => ({
        nodename: nameOf(who),
        aheadSeconds: Math.round(aheadMs / second),
      })),
    });
  };
  const look = (): void => {
    hearAuthServers();
    const found = judge();
    metrics.set('auth_clock_trusted', found.status === 'own_wrong' ? 0 : 1);
    if (found.status === 'own_wrong') tell(found.status, `this auth server ${trouble() ?? ''}`, []);
    else if (found.status !== 'agreed') tell(found.status, notice() ?? '', found.differing);
    else if (told !== undefined) {
      told = undefined;
      sink.info('the clocks agree again');
    }
  };
  const timer = startTicker(look, lookEveryMs);
  timer.unref();

  return {
    hear: (who, saidAt, address) => {
      // Another role on this machine has the same clock.
      if (who !== hostId) keep(words.hosts, sourceOf(address), { who, saidAt, heardMs: clock.monotonic() });
    },
    verdict,
    require: () => {
      const why = trouble();
      if (why !== undefined) throw new CodedError('unavailable', `this auth server ${why}`);
    },
    trouble,
    notice,
    look,
    close: () => {
      stopTimer(timer);
    },
  };
}

const apart = (aheadMs: number): string =>
  `${Math.round(Math.abs(aheadMs) / second)} s ${aheadMs > 0 ? 'ahead of' : 'behind'}`;

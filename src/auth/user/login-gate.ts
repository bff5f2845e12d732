import { refusalPace } from '../../api/refusal-pace.ts';
import type { Deadline } from '../../base/deadline.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { second } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import { rateLimit, sourceOf } from '../limits/rate-limit.ts';
import { recentComers } from '../limits/recent-comers.ts';
import { type LoginSource, type LoginTaking, refusedLogins } from './refused-logins.ts';
import type { TurnedAway } from '../limits/turned-away.ts';
import { WaitingLine } from '../limits/waiting-line.ts';

/** Somebody who wants to authenticate, before anything was looked up in the store. */
export interface Comer {
  readonly address: string;
  readonly wants: 'login' | 'link';
  /**
   * The address may be that of a balancer: then callers are distinguished by the name that they claim, or by
   * their link.
   */
  readonly claims?: string | undefined;
  /** The user that a login claims to be. */
  readonly name?: string;
  /** Whether the caller comes from where this very user logged in before. */
  readonly known: boolean;
  /** Until when the caller waits for a reply. */
  readonly deadline: Deadline;
}

/** Keeps callers that guess passwords and links from occupying the server, and from filling the audit. */
export interface LoginGate {
  /**
   * Runs `attempt` when its turn comes, unless too many come from this address, too many of it or of this
   * name were refused lately, or too many wait: then it is counted and refused with `limit_exceeded`, with
   * when to try again. Until its turn an attempt costs next to nothing.
   */
  admit<T>(comer: Comer, attempt: () => Promise<T>): Promise<T>;
  /** Resolves as soon as nobody's attempt is under way, or after `mostMs`. */
  calm(mostMs: number): Promise<void>;
  /** Whether a refusal gets an event of its own; otherwise it is counted. */
  mayTell(address: string): boolean;
  /** Counts a refusal that the audit could not store. */
  untold(address: string): void;
}

export interface GateCounts {
  /** Not looked at. */
  readonly unexamined: Readonly<Record<Comer['wants'], TurnedAway>>;
  /** Refused without an event of its own. */
  readonly untold: TurnedAway;
}

const perSecond = 10;
/**
 * A password takes some 50 ms of one core and some MB of memory, and two are checked at a time: a known
 * caller waits behind a few strangers at most, even if the store is slow.
 */
const places = { served: 12, strangersServed: 6, waiting: 64, waitMs: 3 * second };
/** How soon to try again when the line is full. */
const lineAgainMs = 5 * second;
export function loginGate(world: Pick<World, 'monotonic'>, { unexamined, untold }: GateCounts): LoginGate {
  const limit = rateLimit(perSecond);
  const refusals = refusedLogins();
  const comers = recentComers();
  const line = new WaitingLine(places);
  const pace = refusalPace(world);
  const tooMany = ({ address, wants }: Comer, what: string, retryAfterMs: number): CodedError => {
    unexamined[wants].count(address);
    return againIn(what, retryAfterMs);
  };
  const counted = async <T>(comer: Comer, now: number, attempt: () => Promise<T>): Promise<T> => {
    const taking = refusals.take(sourceOfComer(comer), now);
    if (taking.status === 'taken') return unlessRefused(taking, attempt);
    const own = comer.known ? refusals.take(sourceOfKnown(comer), now) : taking;
    if (own.status === 'refused') throw tooMany(comer, failedTooOften, taking.waitMs);
    try {
      return await unlessRefused(own, attempt);
    } catch (e) {
      // In the same words as for everybody else from there.
      throw isCoded(e) ? againIn(failedTooOften, taking.waitMs) : e;
    }
  };
  return {
    admit: async (comer, attempt) => {
      const { address, wants, claims, known, deadline } = comer;
      const now = world.monotonic();
      const key = claims === undefined ? sourceOf(address) : `${sourceOf(address)} ${claims}`;
      const recent = comers.count(key, now);
      if (!limit.admit(`${wants} ${key}`, now))
        throw tooMany(comer, 'too many attempts from this address', second);
      return counted(comer, now, async () => {
        const done = await line.run({ known, recent, isOver: () => deadline.isOver() }, attempt);
        if (done === undefined) throw tooMany(comer, 'too many logins are under way', lineAgainMs);
        return done.result;
      });
    },
    calm: (mostMs) => line.idle(mostMs),
    mayTell: (address) => {
      const may = pace.mayTell(sourceOf(address));
      if (!may) untold.count(address);
      return may;
    },
    untold: (address) => {
      untold.count(address);
    },
  };
}

const failedTooOften = 'too many failed attempts';

function againIn(what: string, retryAfterMs: number): CodedError {
  const seconds = Math.ceil(retryAfterMs / second);
  return new CodedError('limit_exceeded', `${what}, try again in ${seconds} s`, { retryAfterMs });
}

/** A login that is not refused does not count. */
async function unlessRefused<T>(
  { notRefused }: Extract<LoginTaking, { status: 'taken' }>,
  attempt: () => Promise<T>,
): Promise<T> {
  try {
    const result = await attempt();
    notRefused();
    return result;
  } catch (e) {
    if (!isCoded(e, 'access_denied')) notRefused();
    throw e;
  }
}

/**
 * A known user has an allowance of his own: others who use his name or his address (an office has one) do not
 * keep him out.
 */
const sourceOfKnown = ({ address, name = '' }: Comer): LoginSource => ({
  address: `${sourceOf(address)} ${name}`,
  name: undefined,
});

function sourceOfComer({ wants, address, claims, name }: Comer): LoginSource {
  if (wants !== 'login') return { address: undefined, name: undefined };
  return {
    address: claims === undefined ? sourceOf(address) : undefined,
    name,
  };
}

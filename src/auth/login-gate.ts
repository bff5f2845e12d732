import { refusalPace } from '../api/refusal-pace.ts';
import type { Deadline } from '../base/deadline.ts';
import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { rateLimit, sourceOf } from './rate-limit.ts';
import { recentComers } from './recent-comers.ts';
import type { TurnedAway } from './turned-away.ts';
import { WaitingLine } from './waiting-line.ts';

/** Who wants to prove that he is somebody, before anything was looked up in the store. */
export interface Comer {
  readonly address: string;
  readonly wants: 'login' | 'link';
  /** The address may be that of a balancer: then he is told apart by the name that he claims, or by the link that he has. */
  readonly claims?: string | undefined;
  /** He comes from where this very user logged in before. */
  readonly known: boolean;
  /** Until when he waits for an answer. */
  readonly deadline: Deadline;
}

/** Keeps those who try passwords and links from keeping everybody busy, and from filling the audit. */
export interface LoginGate {
  /**
   * Runs `attempt` when its turn comes, unless too many come from this address, or too many wait: then `limit_exceeded`,
   * counted. Until then an attempt costs next to nothing.
   */
  admit<T>(comer: Comer, attempt: () => Promise<T>): Promise<T>;
  /** Whether a refusal gets an event of its own; else it is counted. */
  mayTell(address: string): boolean;
  /** A refusal that the audit does not take is counted. */
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
 * A password takes some 50 ms of one core and some MB of memory, and two are checked at a time: who is known waits behind a
 * few strangers at most, though the store be slow.
 */
const places = { served: 12, strangersServed: 6, waiting: 64 };
export function loginGate(world: Pick<World, 'monotonic'>, { unexamined, untold }: GateCounts): LoginGate {
  const limit = rateLimit(perSecond);
  const comers = recentComers();
  const line = new WaitingLine(places);
  const pace = refusalPace(world);
  const tooMany = ({ address, wants }: Comer, message: string): CodedError => {
    unexamined[wants].count(address);
    return new CodedError('limit_exceeded', message);
  };
  return {
    admit: async (comer, attempt) => {
      const { address, wants, claims, known, deadline } = comer;
      const now = world.monotonic();
      const key = claims === undefined ? sourceOf(address) : `${sourceOf(address)} ${claims}`;
      const recent = comers.count(key, now);
      if (!limit.admit(`${wants} ${key}`, now))
        throw tooMany(comer, 'too many attempts from this address, try again in a second');
      const done = await line.run({ known, recent, isOver: () => deadline.isOver() }, attempt);
      if (done === undefined) throw tooMany(comer, 'too many logins are under way, try again');
      return done.result;
    },
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

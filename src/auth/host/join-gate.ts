import { CodedError } from '../../base/errors.ts';
import type { World } from '../../base/world.ts';
import { rateLimit } from '../limits/rate-limit.ts';
import type { TurnedAway } from '../limits/turned-away.ts';

/** Keeps machines that guess tokens from occupying the server, and from filling the audit. */
export interface JoinGate {
  /**
   * Runs `attempt` unless there are too many from this address, or too many under way: then `limit_exceeded`,
   * counted.
   */
  admit<T>(address: string, attempt: () => Promise<T>): Promise<T>;
  /** Whether a refusal gets an event of its own; otherwise it is counted. */
  mayTell(address: string): boolean;
  /** Counts a refusal that the audit could not store. */
  untold(address: string): void;
}

/** Joins of machines behind one address; those that are refused try again automatically. */
const perSecond = 20;
const maxUnderWay = 256;
/** Refusals that get events of their own: from one address, and in all. */
const toldPerSecond = { ofOne: 2, ofAll: 10 };

/** `unexamined` counts attempts that were not looked at, `untold` refusals without an event of their own. */
export function joinGate(
  world: Pick<World, 'monotonic'>,
  { unexamined, untold }: { readonly unexamined: TurnedAway; readonly untold: TurnedAway },
): JoinGate {
  const limit = rateLimit(perSecond);
  const ofOne = rateLimit(toldPerSecond.ofOne);
  const ofAll = rateLimit(toldPerSecond.ofAll);
  let underWay = 0;
  return {
    admit: async (address, attempt) => {
      const busy = underWay >= maxUnderWay;
      if (busy || !limit.admit(address, world.monotonic())) {
        unexamined.count(address);
        throw new CodedError(
          'limit_exceeded',
          busy
            ? 'too many machines join at this moment, try again'
            : 'too many attempts to join from this address, try again in a second',
        );
      }
      underWay++;
      try {
        return await attempt();
      } finally {
        underWay--;
      }
    },
    mayTell: (address) => {
      const now = world.monotonic();
      const told = ofOne.admit(address, now) && ofAll.admit('everybody', now);
      if (!told) untold.count(address);
      return told;
    },
    untold: (address) => {
      untold.count(address);
    },
  };
}

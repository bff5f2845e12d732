import { CodedError } from '../../base/errors.ts';
import type { World } from '../../base/world.ts';
import { rateLimit } from '../limits/rate-limit.ts';
import type { TurnedAway } from '../limits/turned-away.ts';

/** Keeps those who try tokens from keeping everybody busy, and from filling the audit. */
export interface JoinGate {
  /**
   * Runs `attempt` unless too many come from this address, or too many are under way: then `limit_exceeded`,
   * counted.
   */
  admit<T>(address: string, attempt: () => Promise<T>): Promise<T>;
  /** Whether a refusal gets an event of its own; else it is counted. */
  mayTell(address: string): boolean;
  /** A refusal that the audit does not take is counted. */
  untold(address: string): void;
}

/** Joins of machines behind one address; those that are turned away come again by themselves. */
const perSecond = 20;
const maxUnderWay = 256;
/** Refusals that are told one by one: from one address, and in all. */
const toldPerSecond = { ofOne: 2, ofAll: 10 };

/** `unexamined` counts what was not looked at, `untold` what was refused without an event of its own. */
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

import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { rateLimit } from './rate-limit.ts';
import type { TurnedAway } from './turned-away.ts';

/** Keeps those who try passwords from keeping everybody busy. */
export interface LoginGate {
  /**
   * Runs `attempt` unless too many come from this address, or too many are under way: then `limit_exceeded`, counted.
   */
  admit<T>(clientAddress: string, attempt: () => Promise<T>): Promise<T>;
  /** A refusal that the audit does not take is counted. */
  untold(clientAddress: string): void;
}

const perSecond = 10;
/** A password takes some 50 ms of one core and some MB of memory. */
const maxUnderWay = 64;

/** `unexamined` counts what was not looked at, `untold` what was refused without an event of its own. */
export function loginGate(
  world: Pick<World, 'monotonic'>,
  { unexamined, untold }: { readonly unexamined: TurnedAway; readonly untold: TurnedAway },
): LoginGate {
  const limit = rateLimit(perSecond);
  let underWay = 0;
  return {
    admit: async (clientAddress, attempt) => {
      const busy = underWay >= maxUnderWay;
      if (busy || !limit.admit(clientAddress, world.monotonic())) {
        unexamined.count(clientAddress);
        throw new CodedError(
          'limit_exceeded',
          busy
            ? 'too many logins are under way, try again'
            : 'too many attempts from this address, try again in a second',
        );
      }
      underWay++;
      try {
        return await attempt();
      } finally {
        underWay--;
      }
    },
    untold: (clientAddress) => {
      untold.count(clientAddress);
    },
  };
}

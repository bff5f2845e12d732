import type { World } from '../base/world.ts';
import { type Allowance, type Balance, takeAll } from '../domain/allowance.ts';

/**
 * Which refusals of unauthenticated callers are reported one by one; the rest is counted, and reported
 * together.
 */
export interface RefusalPace {
  /** Whether this one gets an event of its own. */
  mayTell(host: string): boolean;
}

/** From one address, and in all: about 90,000 events a day at most, however many come. */
const ofOne: Allowance = { atOnce: 60, perHour: 360 };
const ofAll: Allowance = { atOnce: 600, perHour: 3600 };
const maxRemembered = 10_000;

export function refusalPace(world: Pick<World, 'monotonic'>): RefusalPace {
  const hosts = new Map<string, Balance>();
  let all: Balance | undefined;
  return {
    mayTell: (host) => {
      const now = world.monotonic();
      let one = hosts.get(host);
      const taking = takeAll(
        [
          { allowance: ofOne, before: one, amount: 1 },
          { allowance: ofAll, before: all, amount: 1 },
        ],
        now,
      );
      if (taking.status === 'taken') [one, all] = taking.balances;
      // Moved behind all others: the one that was quiet longest is forgotten first.
      hosts.delete(host);
      if (one !== undefined) hosts.set(host, one);
      if (hosts.size > maxRemembered)
        for (const quietest of hosts.keys()) {
          hosts.delete(quietest);
          break;
        }
      return taking.status === 'taken';
    },
  };
}

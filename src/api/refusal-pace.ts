import type { World } from '../base/world.ts';

/** Which refusals of those who have proved nothing are told one by one; the rest is counted, and told together. */
export interface RefusalPace {
  /** Whether this one gets an event of its own. */
  mayTell(host: string): boolean;
}

interface Bucket {
  left: number;
  at: number;
}
interface Pace {
  readonly atOnce: number;
  readonly perSecond: number;
}

/** From one address, and in all: about 90,000 events a day at most, however many come. */
const ofOne: Pace = { atOnce: 60, perSecond: 0.1 };
const ofAll: Pace = { atOnce: 600, perSecond: 1 };
const maxRemembered = 10_000;

export function refusalPace(world: Pick<World, 'monotonic'>): RefusalPace {
  const hosts = new Map<string, Bucket>();
  let all: Bucket = { left: ofAll.atOnce, at: world.monotonic() };
  return {
    mayTell: (host) => {
      const now = world.monotonic();
      const one = refilled(hosts.get(host) ?? { left: ofOne.atOnce, at: now }, ofOne, now);
      all = refilled(all, ofAll, now);
      const may = one.left >= 1 && all.left >= 1;
      if (may) {
        one.left--;
        all.left--;
      }
      hosts.delete(host);
      hosts.set(host, one);
      if (hosts.size > maxRemembered)
        for (const quietest of hosts.keys()) {
          hosts.delete(quietest);
          break;
        }
      return may;
    },
  };
}

const refilled = ({ left, at }: Bucket, { atOnce, perSecond }: Pace, now: number): Bucket => ({
  left: Math.min(atOnce, left + ((now - at) / 1000) * perSecond),
  at: now,
});

import type { Instant } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { LeafStanding } from '../views/live-proxies.ts';
import type { Leaves } from './ssh/open-target.ts';

/** A cluster that is reached through a proxy. Source: reference 4.4, SSH of the proxy (`proxysites`). */
export interface Site {
  readonly name: string;
  readonly lastconnected: Instant;
  readonly status: 'online' | 'offline';
}

/** As 4.4 writes a moment that never was. */
const never = '0001-01-01T00:00:00Z';

/**
 * @param leaves those that are known, those that hang on this proxy, and what other proxies have reported.
 */
export const sitesOf =
  (
    clusterName: string,
    leaves: {
      readonly leaves: Pick<Leaves, 'known'>;
      readonly held: () => readonly string[];
      readonly standingOf: (name: string) => LeafStanding;
    },
    world: Pick<World, 'now'>,
  ) =>
  (): readonly Site[] => {
    const own: Site = { name: clusterName, lastconnected: world.now(), status: 'online' };
    const held = leaves.held();
    const others = leaves.leaves.known().map((name): Site => {
      if (held.includes(name)) return { name, lastconnected: world.now(), status: 'online' };
      const { status, lastHeardAt = never } = leaves.standingOf(name);
      return { name, lastconnected: lastHeardAt, status };
    });
    return [own, ...others];
  };

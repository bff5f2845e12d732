import { minute, msBetween, second } from '../base/time.ts';
import { hostsInRole } from '../views/hosts.ts';
import { presenceOf } from '../views/presence.ts';
import type { AuthDeps } from './deps.ts';

/** Certificates are dated back by so much. */
const agreedMs = 60 * second;
const toldEveryMs = 10 * minute;

/**
 * Warns of each auth server that was heard of later than it is now: one of two whose clocks differ is always the one behind.
 * @param told by host id, when it was warned of last; kept by the caller.
 */
export function tellClocks({ views, world, sink, hostId }: AuthDeps, told: Map<string, string>): void {
  const now = world.now();
  for (const other of hostsInRole(views.hosts.state(), 'Auth')) {
    if (other.hostId === hostId) continue;
    const seen = presenceOf(views.presence.state(), other, now);
    if (seen.status === 'never_seen') continue;
    const aheadMs = msBetween(now, seen.lastSeenAt);
    const last = told.get(other.hostId);
    if (aheadMs <= agreedMs || (last !== undefined && msBetween(last, now) < toldEveryMs)) continue;
    told.set(other.hostId, now);
    sink.warn(
      'the clocks of two auth servers differ by more than the minute that certificates allow for: set them (chrony, ntpd)',
      {
        here: now,
        there: seen.lastSeenAt,
        nodename: other.nodename,
        aheadSeconds: Math.round(aheadMs / second),
      },
    );
  }
}

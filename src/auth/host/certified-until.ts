import type { Instant } from '../../base/time.ts';
import { hasLostItsKey } from '../../domain/host-adoption.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { aliveUntil, seenOf } from '../../views/presence.ts';
import type { AuthDeps } from '../deps.ts';

/**
 * Until when a host counts as alive under the certificate that it has, for those who decide whether another
 * key may take its id; undefined when it does not. One whose certificate is of a key that was withdrawn after
 * it was heard last has nothing to be alive by, however lately that was.
 */
export function certifiedUntil(
  { views }: Pick<AuthDeps, 'views'>,
  host: { readonly hostId: string; readonly role: SystemRole },
): Instant | undefined {
  const presence = views.presence.state();
  const seen = seenOf(presence, host);
  const last = seen && { heardAt: seen.lastSeenAt, mark: seen.adopted?.[1] ?? '' };
  if (last !== undefined && hasLostItsKey(views.authorities.state().host.state, last)) return undefined;
  return aliveUntil(presence, host, views.clock);
}

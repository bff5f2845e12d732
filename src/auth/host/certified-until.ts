import type { Instant } from '../../base/time.ts';
import { replacedAt } from '../../domain/authority-state.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { aliveUntil, seenOf } from '../../views/presence.ts';
import type { AuthDeps } from '../deps.ts';

/**
 * Until when a host counts as alive under the certificate that it has, for those who decide whether another
 * key may take its id; undefined when it does not. After every key of the host authority was replaced at
 * once, nobody has a certificate: a host last heard of before that does not count as alive.
 */
export function certifiedUntil(
  { views }: Pick<AuthDeps, 'views'>,
  host: { readonly hostId: string; readonly role: SystemRole },
): Instant | undefined {
  const presence = views.presence.state();
  const replaced = replacedAt(views.authorities.state().host.state);
  const heardAt = seenOf(presence, host)?.lastSeenAt;
  if (replaced !== undefined && heardAt !== undefined && heardAt <= replaced) return undefined;
  return aliveUntil(presence, host, views.clock);
}

import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import { lockText } from '../../domain/lock.ts';
import type { LinkPeer } from '../../tunnel/link-tls.ts';
import { findHost } from '../../views/hosts.ts';
import { lockOn } from '../../views/locks.ts';
import type { ProxyViews } from '../proxy-views.ts';

/**
 * Whether the machine at the other end of a link, which has proved whose certificate it holds, may hang
 * here now: a node that is not locked (it may not have announced itself yet), or another proxy of the
 * cluster.
 * @throws CodedError `access_denied` with why: whoever holds the key may know.
 */
export function admitLink(
  { hostId, role, names, serial }: LinkPeer,
  views: Pick<ProxyViews, 'hosts' | 'locks'>,
  now: Instant,
): void {
  const known = role === 'Node' || role === 'Proxy' ? findHost(views.hosts.state(), hostId, role) : undefined;
  if (role !== 'Node' && (role !== 'Proxy' || known === undefined))
    throw new CodedError(
      'access_denied',
      `a machine in role ${JSON.stringify(role.slice(0, 64))} has no place at this proxy`,
    );
  const node = [hostId, ...(known === undefined ? [] : [known.nodename]), ...names];
  const lock = lockOn(views.locks.state(), { serial, ...(role === 'Node' && { node }) }, now);
  if (lock !== undefined) throw new CodedError('access_denied', lockText(lock));
}

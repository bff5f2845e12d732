import type { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import { lockText } from '../../domain/lock.ts';
import type { CurrentIdentity } from '../../pki/current-identity.ts';
import { type LinkPeer, linkPeerAmong, type LinkCluster } from '../../tunnel/link-tls.ts';
import { trustedOf } from '../../views/authorities.ts';
import { findHost } from '../../views/hosts.ts';
import { lockOn } from '../../views/locks.ts';
import { findRemote, remoteClusters } from '../../views/remote-clusters.ts';
import type { ProxyViews } from '../proxy-views.ts';

/** What decides whose links are let in. */
export type LinkViews = Pick<ProxyViews, 'authorities' | 'hosts' | 'locks' | 'remoteClusters'>;

/** What a machine on a link is here: a node that hangs here, another proxy, or a proxy of a leaf. */
export type LinkPart = 'node' | 'proxy' | 'leaf';

/** A machine on a link. */
export interface LinkGuest extends LinkPeer {
  readonly part: LinkPart;
}

/** PEM: the host authority of this cluster. */
export const ownHostAuthorities = ({ authorities }: Pick<LinkViews, 'authorities'>): readonly string[] =>
  trustedOf(authorities.state(), 'host').map(({ tlsCertificatePem }) => tlsCertificatePem);

/**
 * Whose certificate it is: a machine of this cluster, or of one that trusts this one, by the key that signed
 * it. @throws CodedError as `linkPeerAmong`
 */
export function guestShowing(
  certificate: X509Certificate,
  views: LinkViews,
  identity: Pick<CurrentIdentity, 'server'>,
  now: Instant,
): LinkGuest {
  const { clusterName } = identity.server();
  const clusters: readonly LinkCluster[] = [
    { clusterName, authorities: ownHostAuthorities(views) },
    ...remoteClusters(views.remoteClusters.state()).map(({ clusterName: name, remote }) => ({
      clusterName: name,
      authorities: remote.host.keys.map(({ tlsCertificatePem }) => tlsCertificatePem),
    })),
  ];
  const peer = linkPeerAmong(certificate, clusters, now);
  if (peer.clusterName !== clusterName) return { ...peer, part: 'leaf' };
  return { ...peer, part: peer.role === 'Proxy' ? 'proxy' : 'node' };
}

/**
 * Whether the machine at the other end of a link, which has proved whose certificate it holds, may hang
 * here now: a node that is not locked (it may not have announced itself yet), another proxy of the cluster,
 * or a proxy of a cluster that trusts this one.
 * @throws CodedError `access_denied` with why: whoever holds the key may know.
 */
export function admitLink(guest: LinkGuest, views: LinkViews, now: Instant): void {
  const { hostId, serial, names, part } = guest;
  const known =
    part === 'leaf' ? undefined : findHost(views.hosts.state(), hostId, part === 'node' ? 'Node' : 'Proxy');
  requirePlace(guest, views, known !== undefined);
  const node = [hostId, ...(known === undefined ? [] : [known.nodename]), ...(part === 'node' ? names : [])];
  const lock = lockOn(views.locks.state(), { serial, ...(part !== 'proxy' && { node }) }, now);
  if (lock !== undefined) throw new CodedError('access_denied', lockText(lock));
}

function requirePlace(
  { part, role, hostId, clusterName }: LinkGuest,
  views: LinkViews,
  isKnown: boolean,
): void {
  if (part === 'leaf' && findRemote(views.remoteClusters.state(), clusterName) === undefined)
    throw new CodedError(
      'access_denied',
      `cluster ${JSON.stringify(clusterName)} is not known here any more`,
    );
  const hasPlace = {
    node: role === 'Node',
    proxy: isKnown,
    leaf: role === 'Proxy' && z.guid().safeParse(hostId).success,
  }[part];
  if (!hasPlace)
    throw new CodedError(
      'access_denied',
      `a machine in role ${JSON.stringify(role.slice(0, 64))} has no place at this proxy`,
    );
}

import type { Call } from '../../api/server-deps.ts';
import { noDeadline } from '../../base/deadline.ts';
import { isCoded, messageOf } from '../../base/errors.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { version } from '../../base/version.ts';
import { factsLevel } from '../../domain/critical.ts';
import { sameHost } from '../../domain/host.ts';
import { withCertifiedNames } from '../../domain/held-names.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import type { Adopted } from '../../domain/rotation-mark.ts';
import { directAddress, kindOf } from '../../domain/reachability.ts';
import { findHost } from '../../views/hosts.ts';
import { ownPresence } from '../build-deps.ts';
import type { AuthDeps } from '../deps.ts';
import { announce } from './heartbeat.ts';
import { flushIfRoom } from './presence-writer.ts';

/** What this auth server announces about itself: auth servers are hosts as well. */
export interface Self {
  readonly hostId: string;
  readonly nodename: string;
  /** Names and addresses by which others reach it; the first is announced. */
  readonly publicAddresses: readonly string[];
  /** Announced instead of the first, as it is now. */
  readonly advertised?: () => string;
  /** How far it follows the rotations of the authorities; asked each time. Default: it reports nothing. */
  readonly adopted?: () => Adopted;
}

const hostOf = (
  { hostId, nodename, publicAddresses, advertised }: Self,
  { host, port }: HostPort,
): HostInfo =>
  withCertifiedNames(
    {
      hostId,
      role: 'Auth',
      nodename,
      reachability: {
        status: 'direct',
        address: formatHostPort({ host: advertised?.() ?? publicAddresses[0] ?? host, port }),
      },
      publicAddress: '',
      sshPublicAddress: '',
      labels: {},
      version,
      understands: factsLevel,
    },
    publicAddresses,
  );

const callOf = (deps: AuthDeps, host: HostInfo): Call => ({
  caller: {
    kind: 'host',
    hostId: host.hostId,
    role: 'Auth',
    address: directAddress(host.reachability) ?? '',
  },
  requestId: deps.world.uuid(),
  deadline: noDeadline,
});

/**
 * Membership and presence, both durable when it returns; presence only where the store has space for it.
 * Returns what it announced.
 */
export async function announceSelf(deps: AuthDeps, self: Self, address: HostPort): Promise<HostInfo> {
  const host = hostOf(self, address);
  await announce(deps, host, callOf(deps, host));
  renewPresence(deps, self);
  await flushIfRoom(deps.presence, deps.sink);
  return host;
}

/**
 * Announces this auth server again if the cluster has other data about it: its machine has another address
 * than in `said`, or another process uses the same host id, from a copied data_dir. Without this, machines
 * would be sent to the wrong address for ever. Returns what is announced now.
 */
export async function keepAnnounced(
  deps: AuthDeps,
  self: Self,
  { address, said: before }: { readonly address: HostPort; readonly said: HostInfo },
): Promise<HostInfo> {
  const host = hostOf(self, address);
  renewPresence(deps, self);
  const known = findHost(deps.views.hosts.state(), host.hostId, 'Auth');
  // Of two releases that serve side by side (USR2), the newer one has announced its version.
  if (known === undefined || sameHost(known, { ...host, version: known.version })) return host;
  if (!sameHost(before, host))
    deps.sink.info('this auth server has another address', { before: said(before), now: said(host) });
  else
    deps.sink.warn(
      'another process uses the host id of this auth server: was data_dir copied, or is one started twice? ' +
        'Give it a data_dir of its own (remove host_uuid and proc/ from a copy)',
      { hostId: host.hostId, here: said(host), there: said(known) },
    );
  try {
    await announce(deps, host, callOf(deps, host));
  } catch (e) {
    // The next renewal tries again.
    if (!isCoded(e)) throw e;
    deps.sink.warn('the announcement of this auth server could not be stored', { reason: messageOf(e) });
    return before;
  }
  return host;
}

/** At once, because somebody waits for it; if it cannot be stored now, the next renewal contains it. */
export function announceAdopted(deps: AuthDeps, self: Self): void {
  renewPresence(deps, self);
  deps.presence.soon().catch((e: unknown) => {
    deps.sink.warn('what this auth server has adopted of a rotation could not be stored yet', {
      reason: messageOf(e),
    });
  });
}

const renewPresence = ({ presence }: AuthDeps, { hostId, adopted }: Self): void => {
  presence.renew({ hostId, role: 'Auth' }, ownPresence.ttlSeconds, { adopted: adopted?.() });
};

const said = ({ nodename, reachability, version: its }: HostInfo): string =>
  `${nodename} ${directAddress(reachability) ?? kindOf(reachability)} ${its}`;

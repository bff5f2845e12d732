import type { Call } from '../api/server-deps.ts';
import { noDeadline } from '../base/deadline.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { version } from '../base/version.ts';
import { sameHost } from '../domain/host.ts';
import { withCertifiedNames } from '../domain/held-names.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { findHost } from '../views/hosts.ts';
import { ownPresence } from './build-deps.ts';
import type { AuthDeps } from './deps.ts';
import { announce } from './heartbeat.ts';
import { flushIfRoom } from './presence-writer.ts';

/** What this auth server says of itself: auth servers are hosts as well. */
export interface Self {
  readonly hostId: string;
  readonly nodename: string;
  /** Names and addresses by which others reach it; the first is told. */
  readonly publicAddresses: readonly string[];
}

const hostOf = ({ hostId, nodename, publicAddresses }: Self, { host, port }: HostPort): HostInfo =>
  withCertifiedNames(
    {
      hostId,
      role: 'Auth',
      nodename,
      address: formatHostPort({ host: publicAddresses[0] ?? host, port }),
      publicAddress: '',
      sshPublicAddress: '',
      labels: {},
      version,
    },
    publicAddresses,
  );

const callOf = (deps: AuthDeps, host: HostInfo): Call => ({
  caller: { kind: 'host', hostId: host.hostId, role: 'Auth', address: host.address },
  requestId: deps.world.uuid(),
  deadline: noDeadline,
});

/** Membership and presence, both durable when it returns; presence only where the store has room for it. */
export async function announceSelf(deps: AuthDeps, self: Self, address: HostPort): Promise<void> {
  const host = hostOf(self, address);
  await announce(deps, host, callOf(deps, host));
  deps.presence.renew({ hostId: host.hostId, role: 'Auth' }, ownPresence.ttlSeconds);
  await flushIfRoom(deps.presence, deps.sink);
}

/**
 * Says again what this auth server is, should the cluster know it otherwise: another process speaks with the same host id,
 * from a data_dir that was copied. Without this, machines would be sent to that one's address for ever.
 */
export async function keepAnnounced(deps: AuthDeps, self: Self, address: HostPort): Promise<void> {
  const host = hostOf(self, address);
  deps.presence.renew({ hostId: host.hostId, role: 'Auth' }, ownPresence.ttlSeconds);
  const known = findHost(deps.views.hosts.state(), host.hostId, 'Auth');
  // Of two releases that serve side by side (USR2), the newer one has told its version.
  if (known === undefined || sameHost(known, { ...host, version: known.version })) return;
  deps.sink.warn(
    'another process uses the host id of this auth server: was data_dir copied, or is one started twice? ' +
      'Give it a data_dir of its own (remove host_uuid and proc/ from a copy)',
    { hostId: host.hostId, here: said(host), there: said(known) },
  );
  try {
    await announce(deps, host, callOf(deps, host));
  } catch (e) {
    // Tried again with the next renewal.
    if (!isCoded(e)) throw e;
    deps.sink.warn('could not say what this auth server is', { reason: messageOf(e) });
  }
}

const said = ({ nodename, address, version: its }: HostInfo): string => `${nodename} ${address} ${its}`;

import type { z } from 'zod';
import type { knownNodes } from '../api/known-nodes.ts';
import { second } from '../base/duration.ts';
import { CodedError } from '../base/errors.ts';
import { turns } from '../base/turns.ts';
import type { World } from '../base/world.ts';
import { hostRecordOf } from '../domain/host-info.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { userIdentityOf } from '../pki/user-certificate.ts';
import { addedRoles, heldRequests, holdingStatesOf } from '../views/held-requests.ts';
import { listedHosts } from '../views/listed-hosts.ts';
import { lookUpRoles, unreadableRoles } from '../views/roles.ts';
import { findUser } from '../views/users.ts';
import type { ProxyViews } from './proxy-views.ts';

/** The nodes that a proxy can show a person without an auth server. */
export type KnownNodes = (certificate: Certificate) => Promise<z.input<typeof knownNodes>>;

/**
 * The nodes that the holder of this certificate may see, by the rules and in the order of auth's own list, as
 * this proxy last knew of them. Whether they are alive is judged at the moment when it last heard of any
 * host.
 * @param ageMs how old the proxy's knowledge is.
 * @param world of this proxy: connections outlive the certificates with which they began, and auth checks at
 *   each call.
 * @returns a function that rejects with CodedError `access_denied` for somebody who is not a user any more,
 *   or whose certificate has expired, `unavailable` for a user with a role that the proxy does not know.
 */
export const knownNodesOf =
  (
    views: Pick<ProxyViews, 'hosts' | 'presence' | 'users' | 'roles' | 'requests'>,
    ageMs: () => number,
    world: Pick<World, 'now'>,
  ): KnownNodes =>
  async (certificate) => {
    const { keyId, validBefore } = certificate;
    if (BigInt(Math.floor(Date.parse(world.now()) / second)) >= validBefore)
      throw new CodedError('access_denied', `the certificate of ${keyId} has expired`);
    const user = findUser(views.users.state(), keyId);
    if (user === undefined) throw new CodedError('access_denied', `user ${keyId} does not exist`);
    const { roles: names, traits } = user.state;
    const found = lookUpRoles(views.roles.state(), names);
    if (found.status === 'missing')
      throw new CodedError(
        'unavailable',
        unreadableRoles(found) ?? `this proxy does not know the role ${found.names.join(', ')}`,
      );
    const held = heldRequests(holdingStatesOf(views), userIdentityOf(certificate), world.now());
    const roles = [...found.roles, ...addedRoles(held, found.roles)];
    const presence = views.presence.state();
    const { hosts } = await listedHosts(
      { hosts: views.hosts.state(), presence },
      { role: 'Node', labels: {}, subject: { roles, traits }, atMs: presence.newestHeardMs },
      {},
      turns(),
    );
    const age = ageMs();
    return {
      hosts: hosts.map(hostRecordOf),
      ageMs: Number.isFinite(age) ? Math.max(0, Math.round(age)) : null,
    };
  };

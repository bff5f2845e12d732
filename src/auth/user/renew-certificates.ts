import { renewCertificates as row } from '../../api/operations/user.ts';
import type { Caller, ShownCertificate } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs, second } from '../../base/time.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import {
  decideRenewal,
  type Renewal,
  renewalKey,
  renewalWindowMs,
  type RenewalWish,
} from '../../domain/login-renewal.ts';
import { signerOf } from '../../views/authorities.ts';
import { findUser } from '../../views/users.ts';
import type { RoleSpec } from '../../domain/role-spec.ts';
import { addedRoles, type HeldRequest, heldRequests, holdingStatesOf } from '../../views/held-requests.ts';
import { causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { lockedLogins, requireGrantUnlocked, requireUnlocked } from '../lock/in-force.ts';
import { rolesOf, signerOfCluster } from '../lookups.ts';
import { grantOf, readPublicKey, signCertificates } from './issue-certificates.ts';

/**
 * Exchanges a person's valid certificate for another one, for a key of the person's choice, where the cluster
 * allows it, or where a rotation is replacing the key that signed it. The new one follows the current roles,
 * is for the same cluster, and never lasts beyond the longest session that began with the password.
 * @throws CodedError `access_denied` with the reason why not.
 */
export const renewCertificates = implementing(row, async (deps, call, input) => {
  deps.lag.require();
  const { username, certificate, address } = personOf(call.caller);
  const publicKey = readPublicKey(input.publicKey);
  await deps.views.fresh();
  const entry = findUser(deps.views.users.state(), username);
  if (entry?.life.id !== certificate.lifeId)
    throw new CodedError('access_denied', `the certificate is not one of the user "${username}" of now`);
  const { traits } = entry.state;
  requireUnlocked(deps, { user: username, roles: entry.state.roles, serial: BigInt(certificate.serial) });
  const roles = rolesOf(deps.views, entry.state.roles);
  const signing = signerOf(deps.views.authorities.state(), 'user').key;
  const now = deps.world.now();
  const held = heldRequests(holdingStatesOf(deps.views), { username, ...certificate }, now);
  const wish: Omit<RenewalWish, 'roles'> = {
    now,
    loggedInAt: certificate.loggedInAt,
    validUntil: certificate.validUntil,
    authorityKey: certificate.authorityPem === signing.tlsCertificatePem ? 'signs' : 'leaves',
    windowMs: renewalWindowMs(deps.views.configuration.state().standing[renewalKey]),
    ttlSeconds: input.ttlSeconds,
  };
  const { renewal, kept } = decideWith(wish, roles, held);
  if (renewal.status === 'refused') throw new CodedError('access_denied', renewal.reason);
  const { loggedInAt, ttlSeconds } = renewal;
  const requested = addedRoles(kept, roles);
  const accessRequests = kept.map(({ entry }) => entry.id);
  const grant = {
    ...grantOf({ username, roles, requested, traits, ttlSeconds, isLocked: lockedLogins(deps) }),
    ttlSeconds,
  };
  const signer = await deps.keys.signer('user');
  const cause = causeOf(deps, call);
  call.deadline.begin();
  await deps.ownAudit.record(
    catalogue.certificateRenewed({
      cert_type: 'user',
      user: username,
      roles: grant.roles,
      logins: grant.logins,
      ttl_seconds: ttlSeconds,
      serial: grant.serial,
      renews: certificate.serial,
      logged_in: loggedInAt,
      ...(accessRequests.length > 0 && { access_requests: accessRequests }),
      'addr.remote': address,
    }),
    cause,
  );
  // The record is in the partition `audit`, so new events of `state` have to be read.
  await deps.views.fresh();
  deps.lag.require();
  requireUnlocked(deps, { serial: BigInt(certificate.serial) });
  const all = [...grant.roles, ...requested.map(({ name }) => name)];
  requireGrantUnlocked(deps, username, { ...grant, roles: all });
  const { routeToCluster, lifeId } = certificate;
  const request = {
    username,
    roles,
    requested,
    accessRequests,
    traits,
    lifeId,
    publicKey,
    format: input.format,
    routeToCluster,
    loggedInAt,
  };
  return {
    username,
    ...signCertificates(deps, signer, request, grant),
    hostSigners: [signerOfCluster(deps.views, 'host')],
  };
});

interface Decided {
  readonly renewal: Renewal;
  readonly kept: readonly HeldRequest[];
}

/**
 * A certificate never outlasts an access request that it names: requests that end before the new one are not
 * in it.
 */
function decideWith(
  wish: Omit<RenewalWish, 'roles'>,
  roles: readonly RoleSpec[],
  held: readonly HeldRequest[],
): Decided {
  const renewal = decideRenewal({ ...wish, roles: [...roles, ...addedRoles(held, roles)] });
  if (renewal.status === 'refused') return { renewal: decideRenewal({ ...wish, roles }), kept: [] };
  const end = plusMs(wish.now, renewal.ttlSeconds * second);
  return { renewal, kept: held.filter(({ entry }) => entry.expiresAt >= end) };
}

/** @throws CodedError `access_denied` for a caller without a certificate of a person. */
export function personOf(caller: Caller): {
  readonly username: string;
  readonly certificate: ShownCertificate;
  readonly address: string;
} {
  if (caller.kind !== 'user' || caller.certificate === undefined)
    throw new CodedError('access_denied', 'only a person renews its certificates, by showing a valid one');
  return { username: caller.username, certificate: caller.certificate, address: caller.address };
}

import { renewCertificates as row } from '../../api/operations/user.ts';
import type { Caller, ShownCertificate } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { decideRenewal, renewalKey, renewalWindowMs } from '../../domain/login-renewal.ts';
import { signerOf } from '../../views/authorities.ts';
import { findUser } from '../../views/users.ts';
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
  const renewal = decideRenewal({
    now: deps.world.now(),
    loggedInAt: certificate.loggedInAt,
    validUntil: certificate.validUntil,
    authorityKey: certificate.authorityPem === signing.tlsCertificatePem ? 'signs' : 'leaves',
    windowMs: renewalWindowMs(deps.views.configuration.state().standing[renewalKey]),
    roles,
    ttlSeconds: input.ttlSeconds,
  });
  if (renewal.status === 'refused') throw new CodedError('access_denied', renewal.reason);
  const { loggedInAt, ttlSeconds } = renewal;
  const grant = {
    ...grantOf({ username, roles, traits, ttlSeconds, isLocked: lockedLogins(deps) }),
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
      'addr.remote': address,
    }),
    cause,
  );
  // The record is in the partition `audit`, so new events of `state` have to be read.
  await deps.views.fresh();
  deps.lag.require();
  requireUnlocked(deps, { serial: BigInt(certificate.serial) });
  requireGrantUnlocked(deps, username, grant);
  const { routeToCluster, lifeId } = certificate;
  const request = {
    username,
    roles,
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

/** @throws CodedError `access_denied` for a caller without a certificate of a person. */
function personOf(caller: Caller): {
  readonly username: string;
  readonly certificate: ShownCertificate;
  readonly address: string;
} {
  if (caller.kind !== 'user' || caller.certificate === undefined)
    throw new CodedError('access_denied', 'only a person renews its certificates, by showing a valid one');
  return { username: caller.username, certificate: caller.certificate, address: caller.address };
}

import type { z } from 'zod';
import type { certificates } from '../../api/operations/user.ts';
import type { Caller, ShownCertificate } from '../../api/operation.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { EventBody } from '../../domain/audit-kind.ts';
import type { CertificateFormat } from '../../domain/role-options.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import type { PublicKey } from '../../pki/ssh-key.ts';
import { findUser } from '../../views/users.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { lockedLogins, requireGrantUnlocked, requireUnlocked } from '../lock/in-force.ts';
import { rolesOf } from '../lookups.ts';
import { leadsTo, signersForPeople } from '../trust/leaf-authorities.ts';
import { grantOf, readPublicKey, signCertificates } from './issue-certificates.ts';

/** Who shows a valid certificate to have it exchanged for another one, as that person is now. */
export interface Exchanging {
  readonly username: string;
  readonly address: string;
  readonly certificate: ShownCertificate;
  /** To be certified. */
  readonly publicKey: PublicKey;
  /** Those of the user, without any that a request added. */
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
}

/** @throws CodedError `access_denied` with the reason why not; `bad_request` for the key. */
export async function personExchanging(
  deps: AuthDeps,
  { caller }: Call,
  publicKeyLine: string,
): Promise<Exchanging> {
  deps.lag.require();
  const { username, certificate, address } = personOf(caller);
  const publicKey = readPublicKey(publicKeyLine);
  await deps.views.fresh();
  const entry = findUser(deps.views.users.state(), username);
  if (entry?.life.id !== certificate.lifeId)
    throw new CodedError('access_denied', `the certificate is not one of the user "${username}" of now`);
  const { roles, traits } = entry.state;
  requireUnlocked(deps, { user: username, roles, serial: BigInt(certificate.serial) });
  return { username, address, certificate, publicKey, roles: rolesOf(deps.views, roles), traits };
}

export interface Exchange {
  /** Ids of the access requests that the new certificate names, and the roles that these add. */
  readonly accessRequests: readonly string[];
  readonly requested: readonly RoleSpec[];
  readonly ttlSeconds: number;
  readonly format: CertificateFormat;
  /** The cluster that it is to lead to; undefined: the same as before, if that is still known. */
  readonly routeToCluster?: string | undefined;
  /** The audit event. */
  readonly told: (common: Told) => EventBody;
  /** What has to hold behind the record of it, besides that nothing is locked. */
  readonly requireStill?: () => void;
}

/** What the audit is told of any exchange. */
type Told = ReturnType<typeof toldOf>;

const toldOf = (
  { username, certificate, address }: Exchanging,
  { roles, logins, ttlSeconds, serial }: ReturnType<typeof grantOf>,
) => ({
  ...{ cert_type: 'user' as const, user: username, roles, logins },
  ...{ ttl_seconds: ttlSeconds, serial, renews: certificate.serial, 'addr.remote': address },
});

/**
 * Signs the new certificates. The audit has them first, and what came meanwhile counts: a lock, a removal.
 * @throws CodedError `access_denied` with the reason why not.
 */
export async function exchangeCertificates(
  deps: AuthDeps,
  call: Call,
  person: Exchanging,
  { accessRequests, requested, ttlSeconds, format, routeToCluster, told, requireStill }: Exchange,
): Promise<z.input<typeof certificates>> {
  const { username, certificate, publicKey, roles, traits } = person;
  const isLocked = lockedLogins(deps);
  const grant = { ...grantOf({ username, roles, requested, traits, ttlSeconds, isLocked }), ttlSeconds };
  const signer = await deps.keys.signer('user');
  call.deadline.begin();
  await deps.ownAudit.record(told(toldOf(person, grant)), causeOf(deps, call));
  // The record is in the partition `audit`, so new events of `state` have to be read.
  await deps.views.fresh();
  deps.lag.require();
  requireUnlocked(deps, { serial: BigInt(certificate.serial) });
  const all = [...grant.roles, ...requested.map(({ name }) => name)];
  requireGrantUnlocked(deps, username, { ...grant, roles: all });
  requireStill?.();
  const { routeToCluster: before, lifeId, loggedInAt } = certificate;
  const request = {
    ...{ username, roles, requested, accessRequests, traits, lifeId, publicKey, format },
    routeToCluster: routeToCluster ?? (leadsTo(deps, before) ? before : ''),
    ...(loggedInAt !== undefined && { loggedInAt }),
  };
  return {
    username,
    ...signCertificates(deps, signer, request, grant),
    hostSigners: signersForPeople(deps),
  };
}

/** @throws CodedError `access_denied` for a caller without a certificate of a person. */
function personOf(caller: Caller): Pick<Exchanging, 'username' | 'certificate' | 'address'> {
  if (caller.kind !== 'user' || caller.certificate === undefined)
    throw new CodedError('access_denied', 'only a person renews its certificates, by showing a valid one');
  return { username: caller.username, certificate: caller.certificate, address: caller.address };
}

import { CodedError } from '../../base/errors.ts';
import { type Instant, plusMs, second } from '../../base/time.ts';
import { loginsOf } from '../../domain/access.ts';
import { certificateMisfit } from '../../domain/certificate-limits.ts';
import { renewableFrom, renewalKey, renewalWindowMs } from '../../domain/login-renewal.ts';
import { noLoginPrefix } from '../../domain/names.ts';
import {
  type CertificateFormat,
  certificateFormat,
  certificatePermits,
  effectiveTtlSeconds,
} from '../../domain/role-options.ts';
import { noRequest, type RoleRequest } from '../../domain/role-request.ts';
import { noRules } from '../../domain/role-rule.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import type { Grant } from '../../domain/user-fact.ts';
import { fromAuthorizedKeyLine, parsePublicKey, type PublicKey } from '../../pki/ssh-key.ts';
import { newSerial, serialText } from '../../pki/serial.ts';
import { issueUserTlsCertificate } from '../../pki/tls-identity.ts';
import { issueUserSshCertificate } from '../../pki/user-certificate.ts';
import { isSystemRole } from '../callers.ts';
import type { AuthDeps } from '../deps.ts';
import type { Signer } from '../secrets/signing-keys.ts';

export interface CertificateWish {
  readonly username: string;
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
  /** Those that access requests add to the user's own. */
  readonly requested?: readonly RoleSpec[];
  readonly ttlSeconds: number;
  /** Logins that are locked now are left out of a certificate. */
  readonly isLocked?: (login: string) => boolean;
}

export interface CertificateRequest extends Omit<CertificateWish, 'ttlSeconds'> {
  /** `UserEntry.life.id` of the user who was authenticated. */
  readonly lifeId: string;
  readonly publicKey: PublicKey;
  /** As asked for; a role with `certFormat: oldssh` has its way. */
  readonly format: CertificateFormat;
  readonly routeToCluster: string;
  /** When the password was given. Left out: it never was. */
  readonly loggedInAt?: Instant;
  /** Ids of the access requests that it names. */
  readonly accessRequests?: readonly string[];
}

export interface UserCertificates {
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
}

/**
 * A shorter lifetime is of no use to anybody.
 * Source: limits of 4.4.
 */
const shortestTtlSeconds = 60;

/**
 * What a certificate would admit to, by the roles. Prepared before it is signed, because the audit records it
 * first.
 * @throws CodedError `access_denied` when no login is left, or when they do not fit into one certificate.
 */
export function grantOf(wish: CertificateWish): Grant & { readonly serial: string } {
  const { username, traits, requested = [], ttlSeconds: wished, isLocked = () => false } = wish;
  const roles = [...wish.roles, ...requested];
  if (wish.roles.length === 0 || roles.some((one) => isSystemRole(one.name)))
    throw new CodedError('access_denied', `user "${username}" has no role a person can have`);
  const ttlSeconds = effectiveTtlSeconds(roles, Math.max(wished, shortestTtlSeconds));
  const granted = loginsOf({ roles, traits }, ttlSeconds);
  const serial = serialText(newSerial());
  const logins = granted.length > 0 ? granted.filter((login) => !isLocked(login)) : noLoginOf(roles, serial);
  if (granted.length > 0 && logins.length === 0)
    throw new CodedError('access_denied', `each login of user "${username}" is locked`);
  if (logins.length === 0)
    throw new CodedError('access_denied', `user "${username}" has no login that its roles allow`);
  const names = roles.map((one) => one.name);
  const misfit = certificateMisfit({ username, roles: names, logins, traits });
  if (misfit !== undefined)
    throw new CodedError(
      'access_denied',
      `user "${username}" can have no certificate: ${misfit}; an operator has to change its logins or roles`,
    );
  // What requests add is not in it: whoever decides looks that up.
  return { roles: wish.roles.map(({ name }) => name), logins, ttlSeconds, serial };
}

/**
 * For people who administer, or request roles, and enter no server: a certificate without a principal would
 * be one for every account. Source: reference 4.4, resources §2; its name is no login of any system, and no
 * role grants it.
 */
const noLoginOf = (roles: readonly RoleSpec[], serial: string): string[] =>
  roles.some(({ rules = noRules, request = noRequest }) => rules.allow.length > 0 || asksFor(request))
    ? [`${noLoginPrefix}${serial}`]
    : [];

const asksFor = ({ allow }: RoleRequest): boolean => allow.roles.length > 0 || allow.claimsToRoles.length > 0;

/**
 * Checks that a certificate can hold what a user would be given, for whoever sets it.
 * @throws CodedError `bad_request`
 */
export function checkFitsCertificate(
  username: string,
  { roles, traits }: { readonly roles: readonly RoleSpec[]; readonly traits: Traits },
): void {
  const names = roles.map((one) => one.name);
  const misfit = certificateMisfit({ username, roles: names, logins: loginsOf({ roles, traits }), traits });
  if (misfit !== undefined)
    throw new CodedError('bad_request', `user "${username}" could not log in: ${misfit}`);
}

/**
 * Signs the SSH certificate of a user and its TLS twin, over one key. The caller has authenticated the user,
 * and made sure that the grant is on the log.
 */
export function signCertificates(
  deps: Pick<AuthDeps, 'world' | 'views'>,
  signer: Signer,
  request: CertificateRequest,
  { roles: roleNames, logins: principals, ttlSeconds, serial: granted }: Grant,
): UserCertificates {
  const { username, lifeId, traits, publicKey, routeToCluster, format, loggedInAt } = request;
  const { requested = [], accessRequests = [] } = request;
  const roles = [...request.roles, ...requested];
  const now = deps.world.now();
  const serial = granted === undefined ? newSerial() : BigInt(granted);
  const sshCertificate = issueUserSshCertificate({
    publicKey,
    ca: signer.ssh,
    username,
    principals,
    roles: roleNames,
    traits,
    now,
    ttlSeconds,
    format: certificateFormat(roles, format),
    permit: certificatePermits(roles),
    routeToCluster,
    lifeId,
    serial,
    accessRequests: { ids: accessRequests, roles: requested.map(({ name }) => name) },
    ...(loggedInAt !== undefined && {
      renewableFrom: renewableFrom({
        loggedInAt,
        validUntil: plusMs(now, ttlSeconds * second),
        windowMs: renewalWindowMs(deps.views.configuration.state().standing[renewalKey]),
        roles,
      }),
    }),
  });
  const tlsCertificatePem = issueUserTlsCertificate({
    publicKey: publicKey.key,
    caPem: signer.tlsCertificatePem,
    caKey: signer.tls,
    identity: {
      ...{ username, groups: roleNames, principals, routeToCluster, traits },
      ...{ lifeId, loggedInAt, accessRequests },
    },
    now,
    ttlSeconds,
    serial,
  });
  return { sshCertificate, tlsCertificatePem };
}

/** @throws CodedError `bad_request` for a key that cannot be certified. */
export function readPublicKey(line: string): PublicKey {
  try {
    return parsePublicKey(fromAuthorizedKeyLine(line));
  } catch (cause) {
    throw new CodedError('bad_request', 'publicKey: not the public key of a supported type', { cause });
  }
}

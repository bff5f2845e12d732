import { CodedError } from '../base/errors.ts';
import { loginsOf } from '../domain/access.ts';
import { certificateMisfit } from '../domain/certificate-limits.ts';
import { certificatePermits, effectiveTtlSeconds } from '../domain/role-options.ts';
import type { RoleSpec, Traits } from '../domain/role-spec.ts';
import type { Grant } from '../domain/user-fact.ts';
import { fromAuthorizedKeyLine, parsePublicKey, type PublicKey } from '../pki/ssh-key.ts';
import { issueUserTlsCertificate } from '../pki/tls-identity.ts';
import { issueUserSshCertificate } from '../pki/user-certificate.ts';
import { isSystemRole } from './callers.ts';
import type { AuthDeps } from './deps.ts';
import type { Signer } from './signing-keys.ts';

export interface CertificateWish {
  readonly username: string;
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
  readonly ttlSeconds: number;
}

export interface CertificateRequest extends CertificateWish {
  /** `UserEntry.life.id` of the user that was proved. */
  readonly lifeId: string;
  readonly publicKey: PublicKey;
  readonly format: 'standard' | 'oldssh';
  readonly routeToCluster: string;
}

export interface UserCertificates {
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
}

/** Shorter is of no use to anybody. Source: limits of 4.4. */
const shortestTtlSeconds = 60;

/**
 * What a certificate would admit to, by the roles. Made out before it is signed: the audit knows of it first.
 * @throws CodedError `access_denied` when no login is left, or one certificate cannot hold them.
 */
export function grantOf({ username, roles, traits, ttlSeconds: wished }: CertificateWish): Grant {
  if (roles.length === 0 || roles.some((one) => isSystemRole(one.name)))
    throw new CodedError('access_denied', `user "${username}" has no role a person can have`);
  const ttlSeconds = effectiveTtlSeconds(roles, Math.max(wished, shortestTtlSeconds));
  const logins = [...loginsOf({ roles, traits }, ttlSeconds)];
  if (logins.length === 0)
    throw new CodedError('access_denied', `user "${username}" has no login that its roles allow`);
  const names = roles.map((one) => one.name);
  const misfit = certificateMisfit({ username, roles: names, logins, traits });
  if (misfit !== undefined)
    throw new CodedError(
      'access_denied',
      `user "${username}" can have no certificate: ${misfit}; an operator has to change its logins or roles`,
    );
  return { roles: names, logins, ttlSeconds };
}

/**
 * That a certificate can hold what a user would be given: said to who sets it.
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
 * Signs the SSH certificate of a user and its TLS twin, over one key. Whoever calls has made sure who it is, and that the
 * grant is on the log.
 */
export function signCertificates(
  deps: Pick<AuthDeps, 'world'>,
  signer: Signer,
  request: CertificateRequest,
  { roles: roleNames, logins: principals, ttlSeconds }: Grant,
): UserCertificates {
  const { username, lifeId, roles, traits, publicKey, routeToCluster, format } = request;
  const now = deps.world.now();
  const sshCertificate = issueUserSshCertificate({
    publicKey,
    ca: signer.ssh,
    username,
    principals,
    roles: roleNames,
    traits,
    now,
    ttlSeconds,
    format,
    permit: certificatePermits(roles),
    routeToCluster,
    lifeId,
  });
  const tlsCertificatePem = issueUserTlsCertificate({
    publicKey: publicKey.key,
    caPem: signer.tlsCertificatePem,
    caKey: signer.tls,
    identity: { username, groups: roleNames, principals, routeToCluster, traits, lifeId },
    now,
    ttlSeconds,
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

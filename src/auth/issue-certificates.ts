import { CodedError } from '../base/errors.ts';
import { auditCodes } from '../domain/audit-codes.ts';
import { loginsOf } from '../domain/access.ts';
import { certificatePermits, effectiveTtlSeconds } from '../domain/role-options.ts';
import type { RoleSpec, Traits } from '../domain/role-spec.ts';
import type { Cause } from '../log/event.ts';
import { fromAuthorizedKeyLine, parsePublicKey, type PublicKey } from '../pki/ssh-key.ts';
import { issueUserTlsCertificate } from '../pki/tls-identity.ts';
import { issueUserSshCertificate } from '../pki/user-certificate.ts';
import { isSystemRole } from './callers.ts';
import type { AuthDeps } from './deps.ts';

export interface CertificateRequest {
  readonly username: string;
  /** `UserEntry.life.id` of the user that was proved. */
  readonly lifeId: string;
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
  readonly publicKey: PublicKey;
  readonly ttlSeconds: number;
  readonly format: 'standard' | 'oldssh';
  readonly routeToCluster: string;
  /** `ip:port` of the person. */
  readonly clientAddress: string;
  readonly cause: Cause;
}

export interface UserCertificates {
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
}

/** Shorter is of no use to anybody. Source: limits of 4.4. */
const shortestTtlSeconds = 60;

/**
 * Signs the SSH certificate of a user and its TLS twin, over one key. Whoever calls has made sure who it is; what the
 * certificate admits to is decided here, by the roles. The audit knows of it before the caller has it.
 * @throws CodedError `access_denied` when no login is left; `unavailable` when nothing can sign, or what is known here is
 * too old to sign by.
 */
export async function issueCertificates(
  deps: AuthDeps,
  request: CertificateRequest,
): Promise<UserCertificates> {
  deps.lag.require();
  const { username, lifeId, roles, traits, publicKey, routeToCluster, format, cause } = request;
  if (roles.length === 0 || roles.some((one) => isSystemRole(one.name)))
    throw new CodedError('access_denied', `user "${username}" has no role a person can have`);
  const ttlSeconds = effectiveTtlSeconds(roles, Math.max(request.ttlSeconds, shortestTtlSeconds));
  const principals = loginsOf({ roles, traits }, ttlSeconds);
  if (principals.length === 0)
    throw new CodedError('access_denied', `user "${username}" has no login that its roles allow`);
  const signer = await deps.keys.signer('user');
  const roleNames = roles.map((one) => one.name);
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
  await deps.ownAudit.record(
    {
      event: 'cert.create',
      code: auditCodes.certificateCreate,
      user: username,
      cert_type: 'user',
      roles: roleNames,
      logins: principals,
      ttl_seconds: ttlSeconds,
      'addr.remote': request.clientAddress,
    },
    cause,
  );
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

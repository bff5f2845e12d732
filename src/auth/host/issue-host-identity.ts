import { CodedError } from '../../base/errors.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { generateEd25519, privateKeyPem } from '../../pki/key-pair.ts';
import { publicKeyOf } from '../../pki/ssh-key.ts';
import { certifyHost, tellCertified } from './certify-host.ts';
import type { AuthDeps } from '../deps.ts';

export interface HostIdentityRequest {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: SystemRole;
  readonly additionalPrincipals: readonly string[];
  /** As in `HostCertificateWish`. */
  readonly use?: 'servers';
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** @throws CodedError `bad_request` for an id that is not a UUID in small letters. */
export function checkHostId(hostId: string): void {
  if (!uuid.test(hostId)) throw new CodedError('bad_request', 'hostId: not a UUID');
}

/**
 * Makes a key pair and certifies it for a role of the machine that auth itself runs on. Nothing of it is kept
 * here.
 * @throws CodedError `bad_request` for an id that is not a UUID.
 */
export async function issueHostIdentity(
  deps: Pick<AuthDeps, 'views' | 'keys' | 'world' | 'ownAudit' | 'hostId' | 'hostCertificateTtlMs'>,
  request: HostIdentityRequest,
): Promise<HostIdentity> {
  checkHostId(request.hostId);
  const key = generateEd25519();
  const now = deps.world.now();
  const certificates = await certifyHost(deps, { ...request, publicKey: publicKeyOf(key), now });
  await tellCertified(
    deps,
    { ...request, ...certificates },
    { at: now, actor: `auth:${deps.hostId}`, requestId: deps.world.uuid() },
  );
  const { hostId, role } = request;
  return { hostId, role, privateKeyPem: privateKeyPem(key), ...certificates };
}

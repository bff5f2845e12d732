import { CodedError } from '../base/errors.ts';
import { auditCodes } from '../domain/audit-codes.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { issueHostSshCertificate } from '../pki/host-certificate.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { generateEd25519, privateKeyPem } from '../pki/key-pair.ts';
import { publicKeyOf } from '../pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../pki/tls-identity.ts';
import type { AuthDeps } from './deps.ts';
import { clusterOf, signerOfCluster } from './lookups.ts';

export interface HostIdentityRequest {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: SystemRole;
  readonly additionalPrincipals: readonly string[];
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Makes a key pair and certifies it for a role of the machine that auth itself runs on. Nothing of it is kept here.
 * @throws CodedError `bad_request` for an id that is no UUID.
 */
export async function issueHostIdentity(
  deps: Pick<AuthDeps, 'views' | 'keys' | 'world' | 'ownAudit' | 'hostId'>,
  request: HostIdentityRequest,
): Promise<HostIdentity> {
  const { hostId, nodename, role, additionalPrincipals } = request;
  if (!uuid.test(hostId)) throw new CodedError('bad_request', 'hostId: not a UUID');
  const { clusterName } = clusterOf(deps.views);
  const signer = await deps.keys.signer('host');
  const key = generateEd25519();
  const publicKey = publicKeyOf(key);
  const now = deps.world.now();
  const sshCertificate = issueHostSshCertificate({
    publicKey,
    ca: signer.ssh,
    hostId,
    nodename,
    clusterName,
    role,
    additionalPrincipals,
    now,
  });
  const tlsCertificatePem = issueHostTlsCertificate({
    publicKey: publicKey.key,
    caPem: signer.tlsCertificatePem,
    caKey: signer.tls,
    hostId,
    clusterName,
    role,
    additionalPrincipals,
    now,
  });
  await deps.ownAudit.record(
    {
      event: 'cert.create',
      code: auditCodes.certificateCreate,
      cert_type: 'host',
      host_id: hostId,
      nodename,
      role,
    },
    { at: now, actor: `auth:${deps.hostId}`, requestId: deps.world.uuid() },
  );
  const trusted = signerOfCluster(deps.views, 'host');
  return {
    hostId,
    role,
    clusterName,
    privateKeyPem: privateKeyPem(key),
    sshCertificate,
    tlsCertificatePem,
    tlsCasPem: trusted.tlsCertificatesPem,
    sshHostCas: trusted.checkingKeys,
  };
}

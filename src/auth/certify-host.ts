import type { Instant } from '../base/time.ts';
import { auditCodes } from '../domain/audit-codes.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { issueHostSshCertificate } from '../pki/host-certificate.ts';
import type { PublicKey } from '../pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../pki/tls-identity.ts';
import type { Cause } from '../log/event.ts';
import type { AuthDeps } from './deps.ts';
import { clusterOf, signerOfCluster } from './lookups.ts';

export interface HostCertificateWish {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: SystemRole;
  readonly additionalPrincipals: readonly string[];
  readonly publicKey: PublicKey;
  readonly now: Instant;
}

/** Both certificates of a machine, and what it must trust. */
export interface HostCertificates {
  readonly clusterName: string;
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
  readonly tlsCasPem: string[];
  readonly sshHostCas: string[];
}

/**
 * Signs for a machine. Whoever calls has decided that it may be whom it says, and tells the audit (`tellCertified`).
 * @throws CodedError `bad_request` when a name cannot stand in a certificate; `unavailable` when nothing can sign.
 */
export async function certifyHost(
  deps: Pick<AuthDeps, 'views' | 'keys'>,
  wish: HostCertificateWish,
): Promise<HostCertificates> {
  const { hostId, nodename, role, additionalPrincipals, publicKey, now } = wish;
  const { clusterName } = clusterOf(deps.views);
  const signer = await deps.keys.signer('host');
  const common = { hostId, clusterName, role, additionalPrincipals, now };
  const sshCertificate = issueHostSshCertificate({ ...common, publicKey, ca: signer.ssh, nodename });
  const tlsCertificatePem = issueHostTlsCertificate({
    ...common,
    // Auth knows by it what the host may announce itself as.
    additionalPrincipals: nodename === '' ? additionalPrincipals : [nodename, ...additionalPrincipals],
    publicKey: publicKey.key,
    caPem: signer.tlsCertificatePem,
    caKey: signer.tls,
  });
  const trusted = signerOfCluster(deps.views, 'host');
  return {
    clusterName,
    sshCertificate,
    tlsCertificatePem,
    tlsCasPem: trusted.tlsCertificatesPem,
    sshHostCas: trusted.checkingKeys,
  };
}

/** The audit knows of a certificate before its owner has it. */
export async function tellCertified(
  deps: Pick<AuthDeps, 'ownAudit'>,
  { hostId, nodename, role }: Pick<HostCertificateWish, 'hostId' | 'nodename' | 'role'>,
  cause: Cause,
): Promise<void> {
  await deps.ownAudit.recordFromReserve(
    {
      event: 'cert.create',
      code: auditCodes.certificateCreate,
      cert_type: 'host',
      host_id: hostId,
      nodename,
      role,
    },
    cause,
  );
}

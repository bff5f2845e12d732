import { randomUUID } from 'node:crypto';
import type { TlsIdentityMaterial } from '../../src/api/auth-connection.ts';
import type { Signer } from '../../src/auth/secrets/signing-keys.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SystemRole } from '../../src/domain/host-info.ts';
import { generateEd25519, privateKeyPem } from '../../src/pki/key-pair.ts';
import { publicKeyOf } from '../../src/pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../../src/pki/tls-identity.ts';

/** Who a simulated machine is, by mutual TLS. */
export interface SimulatedIdentity extends TlsIdentityMaterial {
  readonly hostId: string;
}

/**
 * Certifies machines as the cluster's authority does, each under its own id. All share one key pair: making
 * it is what costs, and no server looks at more than the certificate.
 */
export function hostCertifier(
  signer: Signer,
  clusterName = 'example',
): (role: SystemRole, nodename?: string) => SimulatedIdentity {
  const key = generateEd25519();
  const publicKey = publicKeyOf(key).key;
  const keyPem = privateKeyPem(key);
  return (role, nodename) => {
    const hostId = randomUUID();
    const tlsCertificatePem = issueHostTlsCertificate({
      publicKey,
      caPem: signer.tlsCertificatePem,
      caKey: signer.tls,
      hostId,
      clusterName,
      role,
      additionalPrincipals: nodename === undefined ? [] : [nodename],
      now: realWorld.now(),
    });
    return { hostId, privateKeyPem: keyPem, tlsCertificatePem, tlsCasPem: [signer.tlsCertificatePem] };
  };
}

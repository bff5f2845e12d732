import { randomUUID } from 'node:crypto';
import type { Signer } from '../../src/auth/secrets/signing-keys.ts';
import { realWorld } from '../../src/base/world.ts';
import type { SystemRole } from '../../src/domain/host-info.ts';
import { issueHostSshCertificate } from '../../src/pki/host-certificate.ts';
import type { HostIdentity } from '../../src/pki/host-identity.ts';
import { generateEd25519, privateKeyPem } from '../../src/pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../src/pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../../src/pki/tls-identity.ts';

/** As long as those of an auth server that is not configured otherwise. */
const ttlSeconds = 90 * 24 * 3600;

/**
 * Certifies machines as the cluster's authority does, each under its own id. All share one key pair: making
 * it is what costs, and no server looks at more than the certificate.
 */
export function hostCertifier(
  signer: Signer,
  clusterName = 'example',
): (role: SystemRole, nodename?: string) => HostIdentity {
  const key = generateEd25519();
  const publicKey = publicKeyOf(key);
  const keyPem = privateKeyPem(key);
  const sshHostCas = [toAuthorizedKeyLine(publicKeyOf(signer.ssh).blob)];
  return (role, nodename = '') => {
    const hostId = randomUUID();
    const common = { hostId, clusterName, role, now: realWorld.now(), ttlSeconds };
    return {
      ...{ hostId, role, clusterName, privateKeyPem: keyPem },
      sshCertificate: issueHostSshCertificate({
        ...{ ...common, publicKey, ca: signer.ssh, nodename },
        additionalPrincipals: [],
      }),
      tlsCertificatePem: issueHostTlsCertificate({
        ...{ ...common, publicKey: publicKey.key, caPem: signer.tlsCertificatePem, caKey: signer.tls },
        additionalPrincipals: nodename === '' ? [] : [nodename],
      }),
      tlsCasPem: [signer.tlsCertificatePem],
      sshHostCas,
    };
  };
}

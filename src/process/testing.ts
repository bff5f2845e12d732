import { createPublicKey, type KeyObject } from 'node:crypto';
import { caPinOf } from '../pki/ca-pin.ts';
import { issueHostSshCertificate } from '../pki/host-certificate.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { generateEd25519, generateP256, privateKeyPem } from '../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { issueHostTlsCertificate } from '../pki/tls-identity.ts';
import { createCaCertificate } from '../pki/x509.ts';

/** The host authority of a cluster, for tests that issue identities without an auth server. */
export interface TestAuthority {
  readonly pem: string;
  readonly pin: string;
  /** authorized_keys line */
  readonly sshKey: string;
  issue(request: {
    hostId: string;
    role: string;
    key?: KeyObject;
    nodename?: string;
    names?: readonly string[];
  }): HostIdentity;
}

export function testAuthority(clusterName: string, now: string): TestAuthority {
  const [ssh, tls] = [generateEd25519(), generateP256()];
  const pem = createCaCertificate({ clusterName, privateKey: tls, now });
  const sshKey = toAuthorizedKeyLine(publicKeyOf(ssh).blob);
  return {
    pem,
    pin: caPinOf(pem),
    sshKey,
    issue: ({ hostId, role, key = generateEd25519(), nodename = 'host', names = [] }) => {
      const common = { hostId, clusterName, role, additionalPrincipals: names, now };
      return {
        hostId,
        role,
        clusterName,
        privateKeyPem: privateKeyPem(key),
        sshCertificate: issueHostSshCertificate({
          ...common,
          publicKey: publicKeyOf(key),
          ca: ssh,
          nodename,
        }),
        tlsCertificatePem: issueHostTlsCertificate({
          ...common,
          publicKey: createPublicKey(key),
          caPem: pem,
          caKey: tls,
        }),
        tlsCasPem: [pem],
        sshHostCas: [sshKey],
      };
    },
  };
}

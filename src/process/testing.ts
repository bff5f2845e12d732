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
  issue(request: Wish & { key?: KeyObject }): HostIdentity;
  /** For a key of which only the public half is known here. */
  certify(request: Wish & { key: KeyObject }): Omit<HostIdentity, 'privateKeyPem'>;
}

interface Wish {
  readonly hostId: string;
  readonly role: string;
  readonly names?: readonly string[];
  /** Default: they never expire. */
  readonly ttlSeconds?: number;
  /** When they are made; default: as the authority. */
  readonly at?: string;
}

export function testAuthority(clusterName: string, now: string): TestAuthority {
  const [ssh, tls] = [generateEd25519(), generateP256()];
  const pem = createCaCertificate({ clusterName, privateKey: tls, now });
  const sshKey = toAuthorizedKeyLine(publicKeyOf(ssh).blob);
  const certify: TestAuthority['certify'] = ({ hostId, role, key, names = [], ttlSeconds, at = now }) => {
    const common = { hostId, clusterName, role, additionalPrincipals: names, now: at, ttlSeconds };
    return {
      hostId,
      role,
      clusterName,
      sshCertificate: issueHostSshCertificate({
        ...common,
        publicKey: publicKeyOf(key),
        ca: ssh,
        nodename: 'host',
      }),
      tlsCertificatePem: issueHostTlsCertificate({
        ...common,
        publicKey: key.type === 'private' ? createPublicKey(key) : key,
        caPem: pem,
        caKey: tls,
      }),
      tlsCasPem: [pem],
      sshHostCas: [sshKey],
    };
  };
  return {
    pem,
    pin: caPinOf(pem),
    sshKey,
    certify,
    issue: ({ key = generateEd25519(), ...wish }) => ({
      ...certify({ ...wish, key }),
      privateKeyPem: privateKeyPem(key),
    }),
  };
}

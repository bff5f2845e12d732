import { createPublicKey, type KeyObject } from 'node:crypto';
import { generateEd25519, generateP256, privateKeyPem } from '../../src/pki/key-pair.ts';
import { issueHostTlsCertificate, issueUserTlsCertificate } from '../../src/pki/tls-identity.ts';
import { createCaCertificate } from '../../src/pki/x509.ts';

// The real clock: openssl and node:tls ask it as well.
export const now = new Date().toISOString();
export const hostId = '00000000-0000-4000-8000-000000000001';

export interface Authority {
  readonly key: KeyObject;
  readonly pem: string;
}
function newAuthority(clusterName: string): Authority {
  const key = generateP256();
  return { key, pem: createCaCertificate({ clusterName, privateKey: key, now }) };
}
export const hostAuthority = newAuthority('example.com');
export const userAuthority = newAuthority('example.com');
/** For a cluster of the same name: only its key, and the serial number in its subject, tell it apart. */
export const strangeAuthority = newAuthority('example.com');

/** What node:tls is given, PEM. */
export interface Pair {
  readonly key: string;
  readonly cert: string;
}
export function hostPair(authority = hostAuthority, role = 'Auth', privateKey = generateEd25519()): Pair {
  const cert = issueHostTlsCertificate({
    publicKey: createPublicKey(privateKey),
    caPem: authority.pem,
    caKey: authority.key,
    hostId,
    clusterName: 'example.com',
    role,
    additionalPrincipals: ['auth.example.com', '*.apps.example.com', '10.0.0.7', '2001:db8::7'],
    now,
  });
  return { key: privateKeyPem(privateKey), cert };
}
const alice = {
  username: 'alice',
  groups: ['admin', 'développeur'],
  principals: ['root', 'deploy'],
  routeToCluster: 'leaf',
  traits: { logins: ['root'], kubernetes_groups: ['system:masters'] },
};
export function userPair(authority = userAuthority, privateKey = generateEd25519()): Pair {
  const cert = issueUserTlsCertificate({
    publicKey: createPublicKey(privateKey),
    caPem: authority.pem,
    caKey: authority.key,
    identity: alice,
    now,
    ttlSeconds: 3600,
  });
  return { key: privateKeyPem(privateKey), cert };
}

/** The types of key that leaves have. */
export const leafKeys = [
  ['Ed25519', generateEd25519],
  ['P-256', generateP256],
] as const;

import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Signer } from '../../src/auth/secrets/signing-keys.ts';

/** A signer as it travels to another process. */
export interface AuthorityMaterial {
  readonly tlsCertificatePem: string;
  readonly tlsKeyPem: string;
  readonly sshKeyPem: string;
}

const pemOf = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

export const materialOf = ({ tlsCertificatePem, tls, ssh }: Signer): AuthorityMaterial => ({
  tlsCertificatePem,
  tlsKeyPem: pemOf(tls),
  sshKeyPem: pemOf(ssh),
});

export const signerFrom = ({ tlsCertificatePem, tlsKeyPem, sshKeyPem }: AuthorityMaterial): Signer => ({
  tlsCertificatePem,
  tls: createPrivateKey(tlsKeyPem),
  ssh: createPrivateKey(sshKeyPem),
});

import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { readOptional } from './host-uuid.ts';

const stored = z.object({
  hostId: z.string(),
  role: z.string(),
  clusterName: z.string(),
  privateKeyPem: z.string(),
  sshCertificate: z.string(),
  tlsCertificatePem: z.string(),
  tlsCasPem: z.array(z.string()),
  sshHostCas: z.array(z.string()),
});

const pathOf = (dataDir: string, role: string): string =>
  join(dataDir, 'proc', `${role.toLowerCase()}.identity.json`);

/** Keeps a machine identity in `<data_dir>/proc` (0700, files 0600): the private key never leaves this machine. */
export function saveIdentity(dataDir: string, identity: HostIdentity): void {
  mkdirSync(join(dataDir, 'proc'), { recursive: true, mode: 0o700 });
  writeFileAtomic(pathOf(dataDir, identity.role), `${JSON.stringify(identity)}\n`, 0o600);
}

/**
 * The stored identity; undefined when there is none.
 * @throws CodedError `misconfigured` when the file was damaged, naming it.
 */
export function loadIdentity(dataDir: string, role: string): HostIdentity | undefined {
  const path = pathOf(dataDir, role);
  const text = readOptional(path);
  if (text === undefined) return undefined;
  try {
    const identity = stored.parse(JSON.parse(text));
    const certificate = new X509Certificate(identity.tlsCertificatePem);
    if (!certificate.publicKey.equals(createPublicKey(identity.privateKeyPem)))
      throw new Error('key does not fit');
    return identity;
  } catch (e) {
    throw new CodedError('misconfigured', `${path} is damaged: remove it and start teleport again`, {
      cause: e,
    });
  }
}

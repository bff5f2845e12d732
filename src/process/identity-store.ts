import { linkSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CodedError, messageOf } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import type { Instant } from '../base/time.ts';
import { checkHostIdentity } from '../pki/check-host-identity.ts';
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

/** Where a role's identity is kept. */
export const identityPath = (dataDir: string, role: string): string =>
  join(dataDir, 'proc', `${role.toLowerCase()}.identity.json`);

/** Keeps a machine identity in `<data_dir>/proc` (0700, files 0600): the private key never leaves this machine. */
export function saveIdentity(dataDir: string, identity: HostIdentity): void {
  mkdirSync(join(dataDir, 'proc'), { recursive: true, mode: 0o700 });
  writeFileAtomic(identityPath(dataDir, identity.role), `${JSON.stringify(identity)}\n`, 0o600);
}

/**
 * Puts a new identity in the place of one that is refused. The old one stays beside it, whatever happens meanwhile.
 * @returns where the old one is kept.
 */
export function replaceIdentity(dataDir: string, identity: HostIdentity, now: Instant): string {
  const path = identityPath(dataDir, identity.role);
  const aside = `${path}.refused-${now.replaceAll(':', '-')}`;
  linkSync(path, aside);
  saveIdentity(dataDir, identity);
  return aside;
}

/**
 * The stored identity; undefined when there is none.
 * @param hostId of this machine: an identity of another one was copied here, and is not ours to use.
 * @throws CodedError `misconfigured` when the file was damaged or is another machine's, naming it.
 */
export function loadIdentity(dataDir: string, role: string, hostId?: string): HostIdentity | undefined {
  const path = identityPath(dataDir, role);
  const text = readOptional(path);
  if (text === undefined) return undefined;
  const identity = parseIdentity(text, path);
  if (identity.role.toLowerCase() !== role.toLowerCase())
    throw new CodedError('misconfigured', `${path} is the identity of a ${identity.role}, not of a ${role}`);
  if (hostId !== undefined && identity.hostId !== hostId)
    throw new CodedError(
      'misconfigured',
      `${path} is the identity of host ${identity.hostId}, but ${join(dataDir, 'host_uuid')} says ${hostId}: ` +
        'restore host_uuid, or remove the identity and join again with a token',
    );
  return identity;
}

function parseIdentity(text: string, path: string): HostIdentity {
  try {
    const identity = stored.parse(JSON.parse(text));
    checkHostIdentity(identity);
    return identity;
  } catch (cause) {
    throw new CodedError(
      'misconfigured',
      `${path} is damaged (${cause instanceof CodedError ? messageOf(cause) : 'not what was written'}): ` +
        'restore it, or remove it and join again with a token',
      { cause },
    );
  }
}

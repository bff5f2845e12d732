import type { KeyObject } from 'node:crypto';
import { linkSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import type { Instant } from '../../base/time.ts';
import { checkHostIdentity } from '../../pki/check-host-identity.ts';
import type { ShownIdentities } from '../../pki/current-identity.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { generateEd25519, privateKeyFromPem, privateKeyPem } from '../../pki/key-pair.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
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
  askedNames: z.array(z.string()).optional(),
});

/** Where a role's identity is kept. */
export const identityPath = (dataDir: string, role: string): string =>
  join(dataDir, 'proc', `${role.toLowerCase()}.identity.json`);

/**
 * Keeps a machine identity in `<data_dir>/proc` (0700, files 0600): the private key never leaves this
 * machine.
 */
export function saveIdentity(dataDir: string, identity: HostIdentity): void {
  mkdirSync(join(dataDir, 'proc'), { recursive: true, mode: 0o700 });
  writeFileAtomic(identityPath(dataDir, identity.role), `${JSON.stringify(identity)}\n`, 0o600);
}

/**
 * Stores both identities of a role where there are two. In whatever order a crash leaves the files, one or
 * the other is shown to callers, and both are accepted.
 */
export function saveShown(dataDir: string, { client, server }: ShownIdentities): void {
  const path = serverIdentityPath(dataDir, client.role);
  mkdirSync(join(dataDir, 'proc'), { recursive: true, mode: 0o700 });
  if (server !== client) writeFileAtomic(path, `${JSON.stringify(server)}\n`, 0o600);
  saveIdentity(dataDir, client);
  if (server === client) rmSync(path, { force: true });
}

/** Where the older identity of a role is kept while callers are still shown it. */
export const serverIdentityPath = (dataDir: string, role: string): string =>
  join(dataDir, 'proc', `${role.toLowerCase()}.server.identity.json`);

/**
 * The identities to show: beside `client` the older one, when one is stored that `client` trusts, else
 * `client` itself. If the older one cannot be read, nothing is lost: the other one replaces it.
 */
export function loadShown(dataDir: string, client: HostIdentity): ShownIdentities {
  const { role, hostId, clusterName } = client;
  const path = serverIdentityPath(dataDir, role);
  try {
    const text = readOptional(path);
    const server = text === undefined ? client : parseIdentity(text, path);
    const isOurs = server.role === role && server.hostId === hostId && server.clusterName === clusterName;
    return { client, server: isOurs && isTrustedBy(client, server) ? server : client };
  } catch (e) {
    if (!isCoded(e, 'misconfigured')) throw e;
    return { client, server: client };
  }
}

const authorityOf = ({ sshCertificate }: HostIdentity): Buffer =>
  parseCertificate(fromAuthorizedKeyLine(sshCertificate)).ca.blob;
const isTrustedBy = ({ sshHostCas }: HostIdentity, other: HostIdentity): boolean =>
  sshHostCas.some((line) => fromAuthorizedKeyLine(line).equals(authorityOf(other)));

/**
 * What a machine shows from now on after its certificates were made again at its start: callers still see the
 * previous certificate, if another key signed it that is trusted as well.
 */
export function shownAfter(dataDir: string, client: HostIdentity): ShownIdentities {
  const { role, hostId } = client;
  let before: HostIdentity | undefined;
  try {
    before = loadIdentity(dataDir, role, hostId);
  } catch (e) {
    // It is about to be written again.
    if (!isCoded(e, 'misconfigured')) throw e;
  }
  if (before?.clusterName !== client.clusterName) return { client, server: client };
  return withOlder(client, loadShown(dataDir, before).server);
}

/** Before anything is known about the authority: the older one stays if another trusted key signed it. */
export const withOlder = (client: HostIdentity, older: HostIdentity): ShownIdentities =>
  isTrustedBy(client, older) && !authorityOf(client).equals(authorityOf(older))
    ? { client, server: older }
    : { client, server: client };

/**
 * The key that waits to be certified in place of the current one; made when there is none. Every renewal of
 * an identity in this data directory, even after a crash or beside another process, uses the same key, so
 * that an auth server whose reply was lost recognises it.
 */
export function pendingKey(dataDir: string, role: string): KeyObject {
  const path = pendingKeyPath(dataDir, role);
  const kept = keyIn(path);
  if (kept !== undefined) return kept;
  mkdirSync(join(dataDir, 'proc'), { recursive: true, mode: 0o700 });
  const made = generateEd25519();
  const own = `${path}.${process.pid}`;
  writeFileAtomic(own, privateKeyPem(made), 0o600);
  try {
    linkSync(own, path);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EEXIST') throw e;
    const other = keyIn(path);
    if (other !== undefined) return other;
    renameSync(own, path); // damaged: it cannot have been certified
  } finally {
    rmSync(own, { force: true });
  }
  return made;
}

/** Called once the key is certified and the new identity is stored. */
export function forgetPendingKey(dataDir: string, role: string): void {
  rmSync(pendingKeyPath(dataDir, role), { force: true });
}

const pendingKeyPath = (dataDir: string, role: string): string =>
  join(dataDir, 'proc', `${role.toLowerCase()}.renewal.key`);

function keyIn(path: string): KeyObject | undefined {
  const pem = readOptional(path);
  if (pem === undefined) return undefined;
  try {
    return privateKeyFromPem(pem);
  } catch (e) {
    if (!isCoded(e)) throw e;
    return undefined;
  }
}

/**
 * Replaces a refused identity by a new one. The old one stays beside it, whatever happens in between.
 * @returns where the old one is kept.
 */
export function replaceIdentity(dataDir: string, identity: HostIdentity, now: Instant): string {
  const path = identityPath(dataDir, identity.role);
  const aside = `${path}.refused-${now.replaceAll(':', '-')}`;
  linkSync(path, aside);
  saveShown(dataDir, { client: identity, server: identity });
  return aside;
}

/**
 * The stored identity; undefined when there is none.
 * @param hostId of this machine: an identity of another machine was copied here and must not be used.
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

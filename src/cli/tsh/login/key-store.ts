import { mkdirSync, rmSync } from 'node:fs';
import { ensurePrivateDirectory, writeFileAtomic } from '../../../base/files.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { type ClientIdentity, type Credentials, readCredentials } from './client-identity.ts';
import { certificatePem, keyLine, splitPem } from './credential-text.ts';
import { type TshHome, userOfFileName } from './home.ts';
import { authoritiesOf, readKnownHosts } from './known-hosts.ts';
import { listDirectory, openPrivately, readIfThere } from './profile.ts';

const privateMode = 0o600;
const sharedMode = 0o640;

const line = (text: string): string => `${text.trim()}\n`;

/**
 * Writes the key and its certificates so that stock ssh finds them (`ssh -i`). The private key is written
 * last, so that an interrupted login leaves the old key beside a certificate that `loadIdentity` refuses,
 * never a new key without one.
 */
export function storeCredentials(
  home: TshHome,
  proxyHost: string,
  user: string,
  credentials: Credentials,
): void {
  const files = home.keyFiles(proxyHost, user);
  openPrivately(home);
  mkdirSync(files.directory, { recursive: true, mode: 0o700 });
  ensurePrivateDirectory(files.directory);
  const identity = readCredentials(credentials);
  writeFileAtomic(
    files.authorities,
    credentials.tlsCasPem.map(certificatePem).map(line).join(''),
    sharedMode,
  );
  writeFileAtomic(
    files.publicKey,
    line(toAuthorizedKeyLine(publicKeyOf(identity.privateKey).blob)),
    privateMode,
  );
  writeFileAtomic(files.sshCertificate, line(keyLine(credentials.sshCertificate)), privateMode);
  writeFileAtomic(files.tlsCertificate, line(certificatePem(credentials.tlsCertificatePem)), privateMode);
  writeFileAtomic(files.privateKey, line(credentials.privateKeyPem), privateMode);
}

/**
 * What a login stored; undefined when there is none.
 * @throws CodedError `damaged` when the files do not match.
 */
export function loadIdentity(home: TshHome, proxyHost: string, user: string): ClientIdentity | undefined {
  const credentials = loadCredentials(home, proxyHost, user);
  return credentials === undefined
    ? undefined
    : readCredentials(credentials, (clusterName) =>
        authoritiesOf(readKnownHosts(home), proxyHost, clusterName),
      );
}

export function loadCredentials(home: TshHome, proxyHost: string, user: string): Credentials | undefined {
  const files = home.keyFiles(proxyHost, user);
  const privateKeyPem = readIfThere(files.privateKey);
  const sshCertificate = readIfThere(files.sshCertificate);
  const tlsCertificatePem = readIfThere(files.tlsCertificate);
  if (privateKeyPem === undefined || sshCertificate === undefined || tlsCertificatePem === undefined)
    return undefined;
  return {
    privateKeyPem,
    sshCertificate,
    tlsCertificatePem,
    tlsCasPem: splitPem(readIfThere(files.authorities) ?? ''),
  };
}

/** Deletes what a login stored. False when there was nothing. */
export function removeCredentials(home: TshHome, proxyHost: string, user: string): boolean {
  const files = home.keyFiles(proxyHost, user);
  const there = readIfThere(files.privateKey) !== undefined;
  for (const path of [files.privateKey, files.publicKey, files.sshCertificate, files.tlsCertificate])
    rmSync(path, { force: true });
  return there;
}

/** Every stored login, as (proxy host, user). */
export function storedUsers(home: TshHome): readonly { readonly proxyHost: string; readonly user: string }[] {
  return listDirectory(home.keys).flatMap((proxyHost) => {
    const names = listDirectory(`${home.keys}/${proxyHost}`);
    return names
      .filter((name) => names.includes(`${name}-cert.pub`))
      .map((name) => ({ proxyHost, user: userOfFileName(name) }));
  });
}

import { readFileSync } from 'node:fs';
import { CodedError, messageOf } from '../../base/errors.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { type ClientIdentity, type Credentials, readCredentials } from './client-identity.ts';
import { type ClusterAuthorities, type ProxyNames, authorityLines } from './known-hosts.ts';
import { certificatePem, keyLine, splitPem } from './credential-text.ts';

/**
 * One file that holds all: private key, SSH certificate, TLS certificate, then what to trust. For `tsh -i`.
 * Source: reference 4.4, `tctl auth sign --format=file`.
 */
export function identityFileText(
  credentials: Credentials,
  clusters: readonly ClusterAuthorities[],
  proxy: ProxyNames,
): string {
  const authorities = authorityLines(clusters, proxy);
  return [
    credentials.privateKeyPem,
    keyLine(credentials.sshCertificate),
    certificatePem(credentials.tlsCertificatePem),
    ...authorities,
    ...credentials.tlsCasPem.map(certificatePem),
  ]
    .map((part) => `${part.trim()}\n`)
    .join('');
}

/** @throws CodedError `misconfigured` when the file cannot be read, `damaged` when its parts do not fit each other. */
export function readIdentityFile(path: string): ClientIdentity {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (e) {
    throw new CodedError('misconfigured', `identity file: ${messageOf(e)}`, { cause: e });
  }
  return parseIdentity(text, path);
}

export function parseIdentity(text: string, path: string): ClientIdentity {
  const privateKeyPem =
    /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )*PRIVATE KEY-----\n?/.exec(text)?.[0];
  const sshCertificate = /^[a-z0-9-]+-cert-v01@openssh\.com \S+.*$/m.exec(text)?.[0];
  const [tlsCertificatePem, ...tlsCasPem] = splitPem(text);
  if (privateKeyPem === undefined || sshCertificate === undefined || tlsCertificatePem === undefined)
    throw new CodedError(
      'damaged',
      `${path} is not an identity file: it needs a private key, an SSH certificate and a TLS certificate`,
    );
  const authorities = text
    .split('\n')
    .filter((line) => line.startsWith('@cert-authority '))
    .map((line) => fromAuthorizedKeyLine(line.split(' ').slice(2, 4).join(' ')));
  return readCredentials({ privateKeyPem, sshCertificate, tlsCertificatePem, tlsCasPem }, authorities);
}

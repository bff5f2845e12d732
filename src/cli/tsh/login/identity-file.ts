import { closeSync, fstatSync, openSync, readFileSync, type Stats } from 'node:fs';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { type ClientIdentity, type Credentials, isAuthorityOf, readCredentials } from './client-identity.ts';
import { type ClusterAuthorities, type ProxyNames, authorityLines } from './known-hosts.ts';
import { certificatePem, keyLine, splitPem } from './credential-text.ts';

/**
 * One file that contains everything: private key, SSH certificate, TLS certificate, then what to trust. For
 * `tsh -i`.
 * Source: reference 4.4, `tctl auth sign --format=file`.
 */
export function identityFileText(
  credentials: Credentials,
  clusters: readonly ClusterAuthorities[],
  proxy: ProxyNames,
): string {
  const own = clusters.filter(({ clusterName }) => clusterName === proxy.clusterName);
  const authorities = authorityLines(own, proxy);
  return [
    credentials.privateKeyPem,
    keyLine(credentials.sshCertificate),
    certificatePem(credentials.tlsCertificatePem),
    ...authorities,
    ...credentials.tlsCasPem.filter(isAuthorityOf(proxy.clusterName)).map(certificatePem),
  ]
    .map((part) => `${part.trim()}\n`)
    .join('');
}

/**
 * @throws CodedError `misconfigured` when the file cannot be read, or others than its owner may read it;
 *   `damaged` when its parts do not match.
 */
export function readIdentityFile(path: string): ClientIdentity {
  let text: string;
  try {
    const fd = openSync(path, 'r');
    try {
      refuseOpenKey(path, fstatSync(fd));
      text = readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (e) {
    if (e instanceof CodedError) throw e;
    throw new CodedError('misconfigured', `identity file: ${messageOf(e)}`, { cause: e });
  }
  return parseIdentity(text, path);
}

/**
 * As ssh does with a private key: only for one's own files, since we cannot change another's.
 * Source: ssh(1), `-i`.
 */
function refuseOpenKey(path: string, info: Stats): void {
  if (!info.isFile() || info.uid !== process.getuid?.() || (info.mode & 0o077) === 0) return;
  const mode = (info.mode & 0o777).toString(8).padStart(4, '0');
  throw new CodedError(
    'misconfigured',
    `the identity file ${path} holds a private key that others may read (mode ${mode}), it is not used: chmod 0600 ${path}. ` +
      'If others had it meanwhile, ask for a new one',
  );
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
  const authorities = (clusterName: string): readonly Buffer[] =>
    text
      .split('\n')
      .filter((line) => line.startsWith('@cert-authority ') && isAbout(line, clusterName))
      .map((line) => fromAuthorizedKeyLine(line.split(' ').slice(2, 4).join(' ')));
  return readCredentials({ privateKeyPem, sshCertificate, tlsCertificatePem, tlsCasPem }, authorities);
}

/** A line that names no cluster is about the one of the certificate. */
const isAbout = (line: string, clusterName: string): boolean =>
  (/\bclustername=([^&\s]+)/.exec(line)?.[1] ?? clusterName) === clusterName;

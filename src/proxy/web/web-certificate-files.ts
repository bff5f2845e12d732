import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Instant } from '../../base/time.ts';
import { selfSignedWebCertificate } from '../../pki/web-certificate.ts';
import { isAlternativeName } from '../../pki/x509-alternative-names.ts';

export interface WebCertificate {
  readonly keyPem: string;
  /** The leaf first, then its issuers. */
  readonly certificatePem: string;
}

/**
 * The configured pair.
 * @throws CodedError `misconfigured` naming the file that cannot be read, or that does not match the other.
 */
export function readWebCertificate(keyFile: string, certificateFile: string): WebCertificate {
  const pair = {
    keyPem: read(keyFile, 'https key'),
    certificatePem: read(certificateFile, 'https certificate'),
  };
  const certificate = parse(
    certificateFile,
    'a certificate in PEM',
    () => new X509Certificate(pair.certificatePem),
  );
  const key = parse(keyFile, 'a private key in PEM, without a passphrase', () =>
    createPrivateKey(pair.keyPem),
  );
  if (!certificate.checkPrivateKey(key))
    throw new CodedError(
      'misconfigured',
      `the key in ${keyFile} does not fit the certificate in ${certificateFile}`,
    );
  return pair;
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    const missing = (e as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CodedError(
      'misconfigured',
      missing ? `${what} does not exist: ${path}` : `cannot read ${what} ${path}: ${messageOf(e)}`,
    );
  }
}

function parse<T>(path: string, what: string, reader: () => T): T {
  try {
    return reader();
  } catch (e) {
    throw new CodedError('misconfigured', `${path} does not hold ${what}: ${messageOf(e)}`, { cause: e });
  }
}

const renewBeforeMs = 30 * 24 * 3600 * 1000;

/**
 * The pair this proxy made for itself in `directory`. A new one is made when it is missing, does not name all
 * of `hostnames`, or expires soon; also when a crash left half of it, which is logged.
 */
export function selfSignedPair(
  directory: string,
  { hostnames, now, sink }: { hostnames: readonly string[]; now: Instant; sink: LogSink },
): WebCertificate {
  const keyFile = join(directory, 'webproxy_key.pem');
  const certificateFile = join(directory, 'webproxy_cert.pem');
  if (existsSync(keyFile) && existsSync(certificateFile)) {
    try {
      const pair = readWebCertificate(keyFile, certificateFile);
      if (isFit(new X509Certificate(pair.certificatePem), hostnames, now)) return pair;
    } catch (e) {
      if (!isCoded(e, 'misconfigured')) throw e;
      sink.warn('the self-signed web certificate cannot be read: a new one is made', { reason: e.message });
    }
  }
  const made = selfSignedWebCertificate({ hostnames, now });
  writeFileAtomic(keyFile, made.keyPem, 0o600);
  writeFileAtomic(certificateFile, made.certificatePem, 0o600);
  return made;
}

/** Names that no certificate can contain are ignored: a new one would not help. */
const isFit = (certificate: X509Certificate, hostnames: readonly string[], now: Instant): boolean =>
  hostnames
    .filter(isAlternativeName)
    .every(
      (name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined,
    ) && certificate.validToDate.getTime() - Date.parse(now) > renewBeforeMs;

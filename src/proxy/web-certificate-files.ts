import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, messageOf } from '../base/errors.ts';
import { writeFileAtomic } from '../base/files.ts';
import type { Instant } from '../base/time.ts';
import { selfSignedWebCertificate } from '../pki/web-certificate.ts';

export interface WebCertificate {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/**
 * The configured pair.
 * @throws CodedError `misconfigured` naming the file that cannot be read, or that does not fit the other.
 */
export function readWebCertificate(keyFile: string, certificateFile: string): WebCertificate {
  const pair = {
    keyPem: read(keyFile, 'https key'),
    certificatePem: read(certificateFile, 'https certificate'),
  };
  const certificate = parse(certificateFile, () => new X509Certificate(pair.certificatePem));
  const key = parse(keyFile, () => createPrivateKey(pair.keyPem));
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

function parse<T>(path: string, reader: () => T): T {
  try {
    return reader();
  } catch (e) {
    throw new CodedError('misconfigured', `${path} does not hold what it should: ${messageOf(e)}`);
  }
}

const renewBeforeMs = 30 * 24 * 3600 * 1000;

/** The pair this proxy made for itself in `directory`: made anew when missing, or when it soon runs out. */
export function selfSignedPair(
  directory: string,
  hostnames: readonly string[],
  now: Instant,
): WebCertificate {
  const keyFile = join(directory, 'webproxy_key.pem');
  const certificateFile = join(directory, 'webproxy_cert.pem');
  if (existsSync(keyFile) && existsSync(certificateFile)) {
    const pair = readWebCertificate(keyFile, certificateFile);
    const certificate = new X509Certificate(pair.certificatePem);
    const covers = hostnames.every((name) => certificate.checkHost(name) ?? certificate.checkIP(name));
    if (covers && certificate.validToDate.getTime() - Date.parse(now) > renewBeforeMs) return pair;
  }
  const made = selfSignedWebCertificate({ hostnames, now });
  writeFileAtomic(keyFile, made.keyPem, 0o600);
  writeFileAtomic(certificateFile, made.certificatePem, 0o600);
  return made;
}

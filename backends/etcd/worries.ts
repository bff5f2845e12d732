import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { hour } from '../../src/base/time.ts';
import type { EtcdOptions } from './options.ts';
import { readFile } from './tls-files.ts';

const toldBeforeMs = 14 * 24 * hour;

/**
 * Things that work, or may work, and should be corrected: a client's certificate that is not valid at `nowMs`
 * or expires within two weeks, secrets that other users of this machine can read.
 * @throws CodedError `misconfigured` naming a file that cannot be read.
 */
export function worriesOf(options: EtcdOptions, nowMs: number): string[] {
  const { tlsCertFile, tlsKeyFile, passwordFile } = options;
  return [
    tlsCertFile === undefined ? undefined : expiryOf(tlsCertFile, nowMs),
    tlsKeyFile === undefined ? undefined : openness('tls_key_file', tlsKeyFile),
    passwordFile === undefined ? undefined : openness('password_file', passwordFile),
  ].filter((one) => one !== undefined);
}

/** Why etcd may not accept the certificate of `tls_cert_file`; undefined when it is valid for long. */
export function expiryOf(path: string, nowMs: number): string | undefined {
  const { validFromDate, validToDate } = new X509Certificate(readFile(path, 'tls_cert_file'));
  const clock = `the clock of this machine says ${new Date(nowMs).toISOString()}`;
  const told = (what: string, at: Date, then: string): string =>
    `etcd: the certificate in tls_cert_file: ${path} ${what} ${at.toISOString()}: ${then}`;
  if (nowMs > validToDate.getTime()) return told('expired at', validToDate, clock);
  if (nowMs < validFromDate.getTime()) return told('is not valid before', validFromDate, clock);
  return nowMs > validToDate.getTime() - toldBeforeMs
    ? told('expires at', validToDate, 'replace it and reload')
    : undefined;
}

function openness(key: string, path: string): string | undefined {
  const { mode } = statSync(path);
  if ((mode & 0o007) === 0) return undefined;
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return `etcd: ${key}: ${path} is open to every user of this machine (mode ${octal}): chmod o= ${path}`;
}

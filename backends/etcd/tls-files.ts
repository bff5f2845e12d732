import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import type { EtcdOptions } from './options.ts';

/** The files of a TLS connection to a peer, read and checked. */
export interface TlsFiles {
  readonly ca: Buffer | undefined;
  readonly client: { readonly key: Buffer; readonly cert: Buffer } | undefined;
}

/**
 * @throws CodedError `misconfigured` naming the file that cannot be read or is invalid, and an incomplete
 *   pair.
 */
export function readTlsFiles({ tlsCaFile, tlsCertFile, tlsKeyFile }: EtcdOptions): TlsFiles {
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined))
    throw misconfigured('set both tls_key_file and tls_cert_file, or neither');
  const ca = tlsCaFile === undefined ? undefined : readFile(tlsCaFile, 'tls_ca_file');
  if (ca && tlsCaFile !== undefined) certificatesIn(ca, `tls_ca_file: ${tlsCaFile}`);
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return { ca, client: undefined };
  const cert = readFile(tlsCertFile, 'tls_cert_file');
  const [leaf] = certificatesIn(cert, `tls_cert_file: ${tlsCertFile}`);
  const key = readFile(tlsKeyFile, 'tls_key_file');
  if (leaf && !leaf.checkPrivateKey(keyIn(key, tlsKeyFile)))
    throw misconfigured(
      `tls_key_file: ${tlsKeyFile} is not the key of the certificate in tls_cert_file: ${tlsCertFile}`,
    );
  return { ca, client: { key, cert } };
}

/** @throws CodedError `misconfigured` naming the key of the configuration and the file. */
export function readFile(path: string, key: string): Buffer {
  try {
    return readFileSync(path);
  } catch (e) {
    throw misconfigured(`${key}: cannot read ${path}: ${messageOf(e)}`, e);
  }
}

function certificatesIn(pem: Buffer, where: string): X509Certificate[] {
  const blocks = pem
    .toString('latin1')
    .match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED )?CERTIFICATE-----/g);
  if (!blocks) throw misconfigured(`${where} holds no certificate in PEM form`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (e) {
    throw misconfigured(`${where} holds a certificate that cannot be read: ${messageOf(e)}`, e);
  }
}

function keyIn(pem: Buffer, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (e) {
    throw misconfigured(
      `tls_key_file: ${path} holds no private key that can be read without a passphrase: ${messageOf(e)}`,
      e,
    );
  }
}

const misconfigured = (text: string, cause?: unknown): CodedError =>
  new CodedError('misconfigured', `etcd: ${text}`, { cause });

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../harness/run-program.ts';

/** Files in PEM form. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

async function openssl(...args: readonly string[]): Promise<void> {
  const { code, stderr } = await run('openssl', args);
  if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
}
const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority of its own, made by openssl, as operators of an etcd have one. */
export async function opensslAuthority(directory: string, name: string): Promise<CertificateFiles> {
  const [cert, key] = [join(directory, `${name}.pem`), join(directory, `${name}.key`)];
  await openssl('req', '-x509', ...p256, '-keyout', key, '-out', cert, '-subj', `/CN=${name}`, '-days', '2');
  return { cert, key };
}

/** A certificate for a server at `address` (an IP), or for the client of that name. */
export async function opensslCertificate(
  directory: string,
  { authority, name, address }: { authority: CertificateFiles; name: string; address?: string },
): Promise<CertificateFiles> {
  const at = (suffix: string): string => join(directory, `${name}.${suffix}`);
  const [cert, key, request, extensions] = [at('pem'), at('key'), at('csr'), at('ext')];
  writeFileSync(
    extensions,
    // A server of etcd shows its certificate to itself as a client.
    `extendedKeyUsage=clientAuth${address === undefined ? '' : `,serverAuth\nsubjectAltName=IP:${address}`}\n`,
  );
  await openssl('req', ...p256, '-keyout', key, '-out', request, '-subj', `/CN=${name}`);
  await openssl(
    ...['x509', '-req', '-in', request, '-out', cert, '-days', '1', '-extfile', extensions],
    ...['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial'],
  );
  return { cert, key };
}

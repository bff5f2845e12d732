import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { isLoopback } from '../cluster/proxy-address.ts';
import { listDirectory, readIfThere } from './profile.ts';
import { splitPem } from './credential-text.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where a proxy on this machine keeps its self-signed certificate. `TELEPORT_WEB_CERT` names another place.
 */
const localWebCertificate = '/var/lib/teleport/webproxy_cert.pem';

/**
 * The authorities that may vouch for a proxy's web certificate: `SSL_CERT_FILE` and `SSL_CERT_DIR` when set,
 * else the system's (or, where there are none, those of the runtime), and for a proxy on this machine its own
 * self-signed certificate.
 * @throws CodedError `misconfigured` when a file that was named cannot be read.
 */
export function webAuthorities(host: string, env: Environment): readonly string[] {
  return [...roots(env), ...(isLoopback(host) ? ownCertificate(env) : [])];
}

function roots(env: Environment): readonly string[] {
  const file = env['SSL_CERT_FILE'] ?? '';
  const folders = (env['SSL_CERT_DIR'] ?? '').split(':').filter((d) => d !== '');
  if (file === '' && folders.length === 0) {
    const system = getCACertificates('system');
    return system.length > 0 ? system : getCACertificates('bundled');
  }
  const files = folders.flatMap((d) => listDirectory(d).map((name) => join(d, name)));
  return [
    ...(file === '' ? [] : splitPem(readNamed(file, 'SSL_CERT_FILE'))),
    ...files.flatMap((path) => splitPem(certificatesIn(path))),
  ];
}

/** A folder of certificates may contain other files too. */
function certificatesIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function ownCertificate(env: Environment): readonly string[] {
  const named = env['TELEPORT_WEB_CERT'] ?? '';
  if (named !== '') return splitPem(readNamed(named, 'TELEPORT_WEB_CERT'));
  try {
    return splitPem(readIfThere(localWebCertificate) ?? '');
  } catch {
    return []; // another user's data folder: it was only an attempt
  }
}

function readNamed(path: string, variable: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (e) {
    throw new CodedError('misconfigured', `${variable}: ${messageOf(e)}`, { cause: e });
  }
}

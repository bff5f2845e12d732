import { CodedError } from '../../base/errors.ts';

/** What tsh uses of `GET /v1/webapi/ping`. Empty text: the proxy did not say. */
export interface PingAnswer {
  readonly authType: string;
  readonly secondFactor: string;
  /** Only its port counts. */
  readonly sshListenAddress: string;
  /** Takes the place of the web address. */
  readonly publicAddress: string;
  readonly sshPublicAddress: string;
  readonly serverVersion: string;
  readonly minClientVersion: string;
}

export interface LoginAnswer {
  readonly username: string;
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
  /** The first is the cluster of this proxy. */
  readonly hostSigners: readonly HostSigner[];
}

export interface HostSigner {
  readonly clusterName: string;
  /** authorized_keys lines. */
  readonly checkingKeys: readonly string[];
  readonly tlsCertificatesPem: readonly string[];
}

const fault = (what: string): CodedError =>
  new CodedError('unavailable', `the proxy's answer is not understood by this version: ${what}`);

const object = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Absent or odd fields read as empty; what is needed is asked for where it is needed. */
export function readPingAnswer(answer: unknown): PingAnswer {
  const auth = object(object(answer)['auth']);
  const proxy = object(object(answer)['proxy']);
  const ssh = object(proxy['ssh']);
  if (text(auth['type']) === '') throw fault('auth.type is missing');
  return {
    authType: text(auth['type']),
    secondFactor: text(auth['second_factor']),
    sshListenAddress: text(ssh['listen_addr']),
    publicAddress: text(ssh['public_addr']),
    sshPublicAddress: text(ssh['ssh_public_addr']),
    serverVersion: text(object(answer)['server_version']),
    minClientVersion: text(object(answer)['min_client_version']),
  };
}

/** @throws CodedError `unavailable` naming the field that is missing. */
export function readLoginAnswer(answer: unknown): LoginAnswer {
  const fields = object(answer);
  const signers = list(fields['host_signers'], 'host_signers').map((one) => {
    const signer = object(one);
    return {
      clusterName: text(signer['domain_name']),
      checkingKeys: list(signer['checking_keys'], 'checking_keys').map((key) => base64(key, 'checking_keys')),
      tlsCertificatesPem: list(signer['tls_certs'], 'tls_certs').map((pem) => base64(pem, 'tls_certs')),
    };
  });
  if (signers.length === 0 || signers.some((s) => s.clusterName === '')) throw fault('host_signers is empty');
  return {
    username: text(fields['username']),
    sshCertificate: base64(fields['cert'], 'cert'),
    tlsCertificatePem: base64(fields['tls_cert'], 'tls_cert'),
    hostSigners: signers,
  };
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw fault(`${name} is not a list`);
}

function base64(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '' && /^[A-Za-z0-9+/]+={0,2}$/.test(value))
    return Buffer.from(value, 'base64').toString('utf8');
  throw fault(`${name} is not base64`);
}

/**
 * Negative when `a` is older than `b`. Reads `major.minor.patch`; what follows (`-rc.1`) is not looked at.
 * @throws CodedError `unavailable` when one is not a version.
 */
export function compareVersions(a: string, b: string): number {
  const parts = (version: string): readonly number[] => {
    const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
    if (match === null) throw fault(`'${version}' is not a version`);
    return match.slice(1).map(Number);
  };
  const [left, right] = [parts(a), parts(b)];
  return left.map((n, i) => n - (right[i] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

import { CodedError, messageOf } from '../../../base/errors.ts';
import type { HostPort } from '../../../base/service.ts';
import { instant, type Instant } from '../../../base/time.ts';
import { isUnspecified, parseHostAddress } from '../../../domain/host-text.ts';
import { isClusterName } from '../../../domain/names.ts';
import type { SignedKeysAnnouncement } from '../../../pki/authority-announcement.ts';
import { type WayKind, webWays } from '../ways/way.ts';
import { certificatePem, keyLine, splitPem } from '../login/credential-text.ts';

/*
 * Responses of a proxy are checked here, field by field, before a person is asked for anything and before
 * anything is written: a proxy may lie, and its data ends up in files that stock ssh trusts.
 */

/** What tsh uses of `GET /v1/webapi/ping`. Undefined, or empty text: the proxy left it out. */
export interface PingAnswer {
  readonly authType: string;
  readonly secondFactor: string;
  /** Of the address it listens on, which may not be one to call. */
  readonly sshListenPort: number | undefined;
  /** Replaces the web address. */
  readonly publicAddress: HostPort | undefined;
  readonly sshPublicAddress: HostPort | undefined;
  /** How its web port leads to its SSH; none for a release that does not know that. */
  readonly webWays: readonly WayKind[];
  readonly serverVersion: string;
  readonly minClientVersion: string;
}

export interface LoginAnswer {
  readonly username: string;
  /** One line. */
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
  /** The first is the cluster of this proxy. */
  readonly hostSigners: readonly HostSigner[];
  /** Where a role wants roles to be requested with the login. */
  readonly request: RequestWanted | undefined;
}

/** How a login requests roles by itself. */
export interface RequestWanted {
  readonly access: 'always' | 'reason';
  readonly prompt: string;
}

/** The secret of a device that is being set up. */
export interface BegunDevice {
  readonly token: string;
  /** What a device scans. */
  readonly otpUrl: string;
  /** The same in letters, for people who type it. */
  readonly secret: string;
  readonly expiresAt: Instant;
}

export interface HostSigner {
  readonly clusterName: string;
  /** authorized_keys lines. */
  readonly checkingKeys: readonly string[];
  readonly tlsCertificatesPem: readonly string[];
}

/** What tsh uses of `GET /v1/webapi/authorities`. Nothing in it is trusted yet. */
export interface AuthoritiesAnswer {
  readonly announcement: SignedKeysAnnouncement | undefined;
  readonly withdrawn: readonly WithdrawnKey[];
  /** Fingerprint of the key that signs for people now; empty from a proxy that does not send it. */
  readonly userSigner: string;
}

export interface WithdrawnKey {
  readonly fingerprint: string;
  readonly at: string;
  readonly why: string;
}

const fault = (what: string): CodedError =>
  new CodedError('unavailable', `the proxy's answer is not understood by this version: ${what}`);

const object = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** An address that clients should call: a host, never a pattern or "all of mine". */
function address(value: unknown, name: string): HostPort | undefined {
  if (text(value) === '') return undefined;
  const read = parseHostAddress(text(value));
  if (read === undefined || isUnspecified(read.host))
    throw fault(`${name} is ${JSON.stringify(value)}, not a host and a port`);
  return read;
}

function portOf(listening: string): number | undefined {
  const port = Number(/:(\d{1,5})$/.exec(listening)?.[1] ?? 0);
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Ways that this version does not know are none. */
const webWaysOf = (value: unknown): readonly WayKind[] =>
  Array.isArray(value) ? webWays.filter((kind) => value.includes(kind)) : [];

/**
 * Absent or odd fields read as empty; required values are checked where they are needed.
 * @throws CodedError `unavailable` for an invalid address.
 */
export function readPingAnswer(answer: unknown): PingAnswer {
  const auth = object(object(answer)['auth']);
  const proxy = object(object(answer)['proxy']);
  const ssh = object(proxy['ssh']);
  if (text(auth['type']) === '') throw fault('auth.type is missing');
  return {
    authType: text(auth['type']),
    secondFactor: text(auth['second_factor']),
    sshListenPort: portOf(text(ssh['listen_addr'])),
    publicAddress: address(ssh['public_addr'], 'public_addr'),
    sshPublicAddress: address(ssh['ssh_public_addr'], 'ssh_public_addr'),
    webWays: webWaysOf(ssh['web_ways']),
    serverVersion: text(object(answer)['server_version']),
    minClientVersion: text(object(answer)['min_client_version']),
  };
}

/** @throws CodedError `unavailable` naming the field that is missing or invalid. */
export function readLoginAnswer(answer: unknown): LoginAnswer {
  const fields = object(answer);
  const signers = list(fields['host_signers'], 'host_signers').map((one) => {
    const signer = object(one);
    return {
      clusterName: clusterName(signer['domain_name']),
      checkingKeys: list(signer['checking_keys'], 'checking_keys').map((key) =>
        reencoded(keyLine, key, 'checking_keys'),
      ),
      tlsCertificatesPem: list(signer['tls_certs'], 'tls_certs').flatMap((pem) =>
        splitPem(base64(pem, 'tls_certs')).map((one) => reread(certificatePem, one, 'tls_certs')),
      ),
    };
  });
  if (signers.length === 0) throw fault('host_signers is empty');
  return {
    username: text(fields['username']),
    sshCertificate: reencoded(keyLine, fields['cert'], 'cert'),
    tlsCertificatePem: reencoded(certificatePem, fields['tls_cert'], 'tls_cert'),
    hostSigners: signers,
    request: requestWanted(text(fields['request_access']), text(fields['request_prompt'])),
  };
}

/** A wish that this version does not know is none: nothing is requested by guesswork. */
const requestWanted = (access: string, prompt: string): RequestWanted | undefined =>
  access === 'always' || access === 'reason' ? { access, prompt } : undefined;

const urlForm = /^otpauth:\/\/totp\/[A-Za-z0-9%:@._~!*'()+-]{1,1024}\?[A-Za-z0-9%=&._~+-]{1,512}$/;
const secretForm = /^[A-Z2-7]{16,128}$/;

/**
 * It is shown to a person, and drawn.
 * @throws CodedError `unavailable` naming the field that is not valid.
 */
export function readBegunDevice(answer: unknown): BegunDevice {
  const fields = object(answer);
  const valid = (name: string, isValid: (value: string) => boolean): string => {
    const value = text(fields[name]);
    if (isValid(value)) return value;
    throw fault(name);
  };
  const secretOf = (url: string): string => new URL(url).searchParams.get('secret') ?? '';
  const otpUrl = valid('otp_url', (url) => urlForm.test(url) && secretForm.test(secretOf(url)));
  return {
    token: valid('token', (value) => /^[0-9a-f]{1,128}$/.test(value)),
    otpUrl,
    secret: secretOf(otpUrl),
    expiresAt: valid('expires', (value) => instant.safeParse(value).success),
  };
}

/** Further keys are ignored; an authority remembers fewer. */
const mostWithdrawn = 100;

/** @throws CodedError `unavailable` naming the invalid field. */
export function readAuthoritiesAnswer(answer: unknown): AuthoritiesAnswer {
  const ofHosts = object(object(answer)['host']);
  const announcement = ofHosts['announcement'];
  return {
    announcement: announcement === undefined ? undefined : signedAnnouncement(object(announcement)),
    withdrawn: list(ofHosts['withdrawn'] ?? [], 'host.withdrawn')
      .slice(-mostWithdrawn)
      .map((one) => withdrawnKey(object(one))),
    userSigner: text(object(object(answer)['user'])['signs']),
  };
}

function signedAnnouncement(fields: Record<string, unknown>): SignedKeysAnnouncement {
  const signatures = list(fields['signatures'], 'announcement.signatures').map((one) => {
    const { keyId, ssh, tls } = object(one);
    return { keyId: text(keyId), ssh: text(ssh), tls: text(tls) };
  });
  return { text: text(fields['text']), signatures };
}

/** It is shown to a person, so only claims with a valid form are used. */
function withdrawnKey({ fingerprint, at, why }: Record<string, unknown>): WithdrawnKey {
  const shaped = (value: unknown, shape: RegExp): string => (shape.test(text(value)) ? text(value) : '?');
  return {
    fingerprint: shaped(fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/),
    at: shaped(at, /^[0-9TZ:.-]{1,30}$/),
    why: shaped(why, /^[a-z_]{1,30}$/),
  };
}

function clusterName(value: unknown): string {
  if (isClusterName(text(value))) return text(value);
  throw fault(`host_signers names a cluster ${JSON.stringify(value)}`);
}

/** Text in base64, decoded and encoded again, without anything that was beside it. */
const reencoded = (read: (text: string) => string, value: unknown, name: string): string =>
  reread(read, base64(value, name), name);

function reread(read: (text: string) => string, value: string, name: string): string {
  try {
    return read(value);
  } catch (e) {
    throw fault(`${name}: ${messageOf(e)}`);
  }
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
 * Negative when `a` is older than `b`. Reads `major.minor.patch`; the rest (`-rc.1`) is ignored.
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

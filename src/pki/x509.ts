import {
  createHash,
  createPublicKey,
  randomBytes,
  sign,
  verify,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import { clockToleranceMs } from '../base/clock-tolerance.ts';
import { CodedError } from '../base/errors.ts';
import { minute, plusMs, type Instant } from '../base/time.ts';
import { generalName, isAlternativeName } from './x509-alternative-names.ts';
import {
  attributesOf,
  bits,
  boolean,
  derOf,
  fromDer,
  integer,
  isSoundAttribute,
  isTagged,
  nameOf,
  octets,
  oid,
  oids,
  sequence,
  tagged,
  time,
  type Asn1,
  type NameAttribute,
} from './x509-der.ts';

const caYears = 10;
const yearMs = 365 * 24 * 60 * minute;

const extension = (type: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(oid(type), ...(critical ? [boolean(true)] : []), octets(derOf(value)));

const digitalSignature = 0;
const keyEncipherment = 2;
const keyCertSign = 5;

/** DER leaves out trailing zero bits; bit 0 is the first one. Source: RFC 5280, section 4.2.1.3. */
function keyUsage(...uses: number[]): Asn1 {
  const byte = uses.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  const unused = 31 - Math.clz32(byte & -byte);
  return extension('2.5.29.15', true, bits(Uint8Array.of(byte), unused));
}

/**
 * Only RSA keys encipher keys; of others it must not be said. Source: RFC 8813, section 3; RFC 9295, section
 * 3.
 */
const usesOf = (key: KeyObject): number[] =>
  key.asymmetricKeyType === 'rsa' ? [digitalSignature, keyEncipherment] : [digitalSignature];

const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';
const extendedUsage = (...purposes: string[]): Asn1 =>
  extension('2.5.29.37', false, sequence(...purposes.map(oid)));
const authority = extension('2.5.29.19', true, sequence(boolean(true)));
const noAuthority = extension('2.5.29.19', true, sequence());
const subjectKeyId = (key: KeyObject): Asn1 => extension('2.5.29.14', false, octets(keyIdOf(key)));
const authorityKeyId = (id: Uint8Array): Asn1 => extension('2.5.29.35', false, sequence(tagged(0, id)));

function alternativeNames(names: readonly string[]): Asn1[] {
  const bad = names.find((name) => !isAlternativeName(name));
  if (bad !== undefined)
    throw new CodedError('bad_request', `${JSON.stringify(bad)} cannot be a name in a certificate`);
  return names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names.map(generalName)))];
}

const spkiDer = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });

/** SHA-1 of the key bits: a name, not a protection. Source: RFC 5280, section 4.2.1.2 (1). */
function keyIdOf(key: KeyObject): Buffer {
  const [, keyBits] = fromDer(spkiDer(key)).value as Asn1[];
  return createHash('sha1')
    .update(Buffer.from(keyBits?.value as string, 'latin1').subarray(1))
    .digest();
}

interface Signing {
  readonly oid: string;
  readonly digest: string | null;
}

/** Ed25519 signs as it is; P-256 with SHA-256. Nothing else signs here. */
function signingOf(key: KeyObject): Signing {
  if (key.asymmetricKeyType === 'ed25519') return { oid: '1.3.101.112', digest: null };
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return { oid: '1.2.840.10045.4.3.2', digest: 'sha256' };
  throw new Error('certificates are signed by P-256 and Ed25519 keys only');
}

const publicHalves = new WeakMap<KeyObject, KeyObject>();

function publicHalf(signer: KeyObject): KeyObject {
  const known = publicHalves.get(signer);
  if (known) return known;
  const half = createPublicKey(signer);
  publicHalves.set(signer, half);
  return half;
}

interface Template {
  readonly serial: Buffer;
  readonly issuer: Asn1;
  readonly subject: readonly NameAttribute[];
  readonly from: Instant;
  readonly to: Instant;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Asn1[];
  readonly signer: KeyObject;
}

/** The signature is made, and checked, by node:crypto. */
function signCertificate(template: Template): string {
  const { serial, issuer, subject, from, to, publicKey, extensions, signer } = template;
  const bad = subject.find(({ value }) => !isSoundAttribute(value));
  if (bad !== undefined)
    throw new CodedError('bad_request', `${JSON.stringify(bad.value)} cannot stand in a certificate`);
  const signing = signingOf(signer);
  const algorithm = sequence(oid(signing.oid));
  const toBeSigned = sequence(
    tagged(0, [integer(Uint8Array.of(2))]),
    integer(serial),
    algorithm,
    issuer,
    sequence(time(from), time(to)),
    nameOf(subject),
    fromDer(spkiDer(publicKey)),
    tagged(3, [sequence(...extensions)]),
  );
  const bytes = derOf(toBeSigned);
  const signature = sign(signing.digest, bytes, signer);
  if (!verify(signing.digest, bytes, publicHalf(signer), signature))
    throw new Error('the signature just made does not hold');
  const base64 = derOf(sequence(toBeSigned, algorithm, bits(signature)))
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** 128 bits, of which 126 are random: positive, and always of the same length. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial.writeUInt8((serial.readUInt8() & 0x7f) | 0x40);
  return serial;
}

/** As DER has an integer: the sign is in the first bit. @throws CodedError `bad_request` beyond 64 bits. */
function serialBytes(serial: bigint): Buffer {
  if (serial < 1n || serial >= 1n << 64n)
    throw new CodedError('bad_request', 'a serial number is positive and has 64 bits');
  const bytes = Buffer.alloc(9);
  bytes.writeBigUInt64BE(serial, 1);
  const first = bytes.findIndex((byte) => byte !== 0);
  return bytes.subarray((bytes[first] ?? 0) < 0x80 ? first : first - 1);
}

export interface CaRequest {
  readonly clusterName: string;
  /** P-256. */
  readonly privateKey: KeyObject;
  readonly now: Instant;
}

/**
 * A self-signed authority for ten years. Its subject carries the serial number, so that two authorities of
 * one cluster have different names and a chain is never ambiguous. Not back-dated: nothing is signed by it
 * before it exists.
 * @throws CodedError `bad_request` for a cluster name with control characters.
 */
export function createCaCertificate({ clusterName, privateKey, now }: CaRequest): string {
  const serial = newSerial();
  const subject = [
    { oid: oids.organization, value: clusterName },
    { oid: oids.commonName, value: clusterName },
    { oid: oids.serialNumber, value: BigInt(`0x${serial.toString('hex')}`).toString() },
  ];
  return signCertificate({
    serial,
    issuer: nameOf(subject),
    subject,
    from: now,
    to: plusMs(now, caYears * yearMs),
    publicKey: privateKey,
    extensions: [keyUsage(...usesOf(privateKey), keyCertSign), authority, subjectKeyId(privateKey)],
    signer: privateKey,
  });
}

export interface SelfSignedRequest {
  readonly privateKey: KeyObject;
  readonly subject: readonly NameAttribute[];
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly now: Instant;
  readonly until: Instant;
}

/**
 * A server certificate that is its own authority, so that a client can be told to trust just this one.
 * @throws CodedError `bad_request` when a name is not a DNS name or address.
 */
export const selfSigned = ({ privateKey, subject, names, now, until }: SelfSignedRequest): string =>
  signCertificate({
    serial: newSerial(),
    issuer: nameOf(subject),
    subject,
    from: plusMs(now, -clockToleranceMs),
    to: until,
    publicKey: privateKey,
    extensions: [
      keyUsage(...usesOf(privateKey), keyCertSign),
      extendedUsage(serverAuth),
      authority,
      subjectKeyId(privateKey),
      ...alternativeNames(names),
    ],
    signer: privateKey,
  });

export interface LeafRequest {
  readonly caPem: string;
  readonly caKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly subject: readonly NameAttribute[];
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly now: Instant;
  /** Whole seconds from `now`, at least one. */
  readonly ttlSeconds: number;
  /** Positive, of 64 bits. Left out: a random one of 128. */
  readonly serial?: bigint | undefined;
}

/** What certificates have of the authority that signs them. */
interface Issuer {
  readonly pem: string;
  readonly name: Asn1;
  readonly keyId: Buffer;
  readonly endMs: number;
}

/** By its private key: an authority signs many certificates, and reading it costs as much as signing. */
const issuers = new WeakMap<KeyObject, Issuer>();

function issuerOf(pem: string, key: KeyObject): Issuer {
  const known = issuers.get(key);
  if (known?.pem === pem) return known;
  const certificate = readCertificate(pem);
  if (!certificate.checkPrivateKey(key)) throw new Error('the authority key does not fit its certificate');
  const endMs = certificate.validToDate.getTime();
  const issuer = { pem, name: subjectOf(certificate), keyId: keyIdOf(key), endMs };
  issuers.set(key, issuer);
  return issuer;
}

/**
 * A certificate for both ends of TLS, signed by an authority; never outlives it.
 * @throws CodedError `bad_request` for a name or a time to live that cannot be; `unavailable` when the
 *   authority has ended.
 */
export function issueLeaf(request: LeafRequest): string {
  const { caPem, caKey, publicKey, subject, names, now, ttlSeconds } = request;
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1)
    throw new CodedError('bad_request', `a certificate cannot live for ${ttlSeconds} seconds`);
  const ca = issuerOf(caPem, caKey);
  const { endMs: caEndMs } = ca;
  const nowMs = Date.parse(now);
  if (caEndMs <= nowMs) throw new CodedError('unavailable', 'the authority certificate has expired');
  return signCertificate({
    serial: request.serial === undefined ? newSerial() : serialBytes(request.serial),
    issuer: ca.name,
    subject,
    from: plusMs(now, -clockToleranceMs),
    to: new Date(Math.min(nowMs + ttlSeconds * 1000, caEndMs)).toISOString(),
    publicKey,
    extensions: [
      keyUsage(...usesOf(publicKey)),
      extendedUsage(serverAuth, clientAuth),
      noAuthority,
      authorityKeyId(ca.keyId),
      ...alternativeNames(names),
    ],
    signer: caKey,
  });
}

/**
 * A certificate from PEM or DER.
 * @throws CodedError `bad_request` for anything else, for more than one, and for bytes around it.
 */
export function readCertificate(pemOrDer: string | Uint8Array): X509Certificate {
  const refused = (cause?: unknown): CodedError =>
    new CodedError('bad_request', 'not one X.509 certificate', { cause });
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pemOrDer);
  } catch (cause) {
    throw refused(cause);
  }
  const given = typeof pemOrDer === 'string' ? bytesOfPem(pemOrDer) : pemOrDer;
  if (given === undefined || !certificate.raw.equals(given)) throw refused();
  return certificate;
}

function bytesOfPem(pem: string): Buffer | undefined {
  const base64 = /^\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*$/.exec(pem);
  return base64?.[1] === undefined ? undefined : Buffer.from(base64[1], 'base64');
}

function subjectOf(certificate: X509Certificate): Asn1 {
  const [toBeSigned] = fromDer(certificate.raw).value as Asn1[];
  // Version 1 leaves its version out, and everything stands one place earlier.
  const [version, , , , , subject] = toBeSigned?.value as Asn1[];
  if (version === undefined || !isTagged(version, 0) || subject === undefined)
    throw new Error('not an X.509 certificate of version 3');
  return subject;
}

/** Every attribute of the subject in order. @throws Error when the subject is not sound text. */
export const subjectAttributes = (certificate: X509Certificate): NameAttribute[] =>
  attributesOf(subjectOf(certificate));

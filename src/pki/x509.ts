import {
  createHash,
  createPublicKey,
  randomBytes,
  sign,
  verify,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';
import { minute, plusMs, type Instant } from '../base/time.ts';

const { asn1 } = forge;
type Asn1 = forge.asn1.Asn1;
const { Type, Class } = asn1;

/** One attribute of a distinguished name, by its object identifier. */
export interface NameAttribute {
  readonly oid: string;
  readonly value: string;
}

export const oids = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  province: '2.5.4.8',
  street: '2.5.4.9',
  organization: '2.5.4.10',
  postalCode: '2.5.4.17',
} as const;

const caYears = 10;
const yearMs = 365 * 24 * 60 * minute;
/** A leaf holds from so long before it was made. */
export const backDateMs = minute;

const node = (type: number, value: Asn1[] | string, constructed = Array.isArray(value)): Asn1 =>
  asn1.create(Class.UNIVERSAL, type, constructed, value);
const sequence = (...items: Asn1[]): Asn1 => node(Type.SEQUENCE, items);
const oid = (dotted: string): Asn1 => node(Type.OID, asn1.oidToDer(dotted).getBytes());
const octets = (bytes: string): Asn1 => node(Type.OCTETSTRING, bytes);
const boolean = (value: boolean): Asn1 => node(Type.BOOLEAN, value ? '\xff' : '\x00');
const context = (tag: number, value: Asn1[] | string): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, Array.isArray(value), value);
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const der = (value: Asn1): string => asn1.toDer(value).getBytes();

const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/** PrintableString when the text allows, else UTF8String. */
const text = (value: string): Asn1 =>
  printable.test(value)
    ? node(Type.PRINTABLESTRING, value)
    : node(Type.UTF8, binary(Buffer.from(value, 'utf8')));

const nameOf = (attributes: readonly NameAttribute[]): Asn1 =>
  sequence(...attributes.map(({ oid: type, value }) => node(Type.SET, [sequence(oid(type), text(value))])));

/** UTCTime until 2049, then GeneralizedTime. Source: RFC 5280, section 4.1.2.5. */
function time(at: Instant): Asn1 {
  const digits = at.slice(0, 19).replace(/[-:T]/g, '');
  return Number(at.slice(0, 4)) < 2050
    ? node(Type.UTCTIME, `${digits.slice(2)}Z`)
    : node(Type.GENERALIZEDTIME, `${digits}Z`);
}

const extension = (type: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(oid(type), ...(critical ? [boolean(true)] : []), octets(der(value)));

/** Bit 0 is the first one; DER leaves out trailing zero bits. */
function keyUsage(...bits: number[]): Asn1 {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  const unused = 31 - Math.clz32(byte & -byte);
  return extension('2.5.29.15', true, node(Type.BITSTRING, String.fromCharCode(unused, byte)));
}
const digitalSignature = 0;
const keyEncipherment = 2;
const keyCertSign = 5;

const spkiDer = (key: KeyObject): Buffer =>
  (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });

/** SHA-1 of the key bits: a name, not a protection. Source: RFC 5280, section 4.2.1.2 (1). */
function keyId(key: KeyObject): string {
  const bits = asn1.fromDer(binary(spkiDer(key))).value[1] as { value: unknown; bitStringContents?: string };
  const raw = bits.bitStringContents ?? String(bits.value);
  return binary(
    createHash('sha1')
      .update(Buffer.from(raw.slice(1), 'latin1'))
      .digest(),
  );
}

function generalName(name: string): Asn1 {
  const family = isIP(name);
  if (family === 0) return context(2, name);
  return context(7, binary(family === 4 ? ipv4(name) : ipv6(name)));
}

const ipv4 = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

function ipv6(address: string): Uint8Array {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = words(head);
  const right = words(tail ?? '');
  const all =
    tail === undefined
      ? left
      : [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const bytes = Buffer.alloc(16);
  for (const [i, word] of all.entries()) bytes.writeUInt16BE(parseInt(word, 16), 2 * i);
  return bytes;
}

const algorithm = (key: KeyObject): Asn1 =>
  sequence(oid(key.asymmetricKeyType === 'ed25519' ? '1.3.101.112' : '1.2.840.10045.4.3.2'));

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

/** Ed25519 signs as it is; P-256 with SHA-256. The signature is made, and checked, by node:crypto. */
function signCertificate(template: Template): string {
  const { serial, issuer, subject, from, to, publicKey, extensions, signer } = template;
  const toBeSigned = sequence(
    context(0, [node(Type.INTEGER, '\x02')]),
    node(Type.INTEGER, binary(serial)),
    algorithm(signer),
    issuer,
    sequence(time(from), time(to)),
    nameOf(subject),
    asn1.fromDer(binary(spkiDer(publicKey))),
    context(3, [sequence(...extensions)]),
  );
  const bytes = Buffer.from(der(toBeSigned), 'latin1');
  const digest = signer.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const signature = sign(digest, bytes, signer);
  if (!verify(digest, bytes, createPublicKey(signer), signature))
    throw new Error('the signature just made does not hold');
  const certificate = sequence(
    toBeSigned,
    algorithm(signer),
    node(Type.BITSTRING, `\x00${binary(signature)}`),
  );
  const base64 = Buffer.from(der(certificate), 'latin1')
    .toString('base64')
    .replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
}

/** 128 random bits, positive, never zero. */
function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

export interface CaRequest {
  readonly clusterName: string;
  readonly privateKey: KeyObject;
  readonly now: Instant;
}

/**
 * A self-signed authority for ten years. Its subject carries the serial number, so that two authorities of one cluster have
 * different names and a chain is never ambiguous.
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
    extensions: [
      keyUsage(digitalSignature, keyEncipherment, keyCertSign),
      extension('2.5.29.19', true, sequence(boolean(true))),
      extension('2.5.29.14', false, octets(keyId(privateKey))),
    ],
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

/** A server certificate that is its own authority, so that a client can be told to trust just this one. */
export const selfSigned = ({ privateKey, subject, names, now, until }: SelfSignedRequest): string =>
  signCertificate({
    serial: newSerial(),
    issuer: nameOf(subject),
    subject,
    from: plusMs(now, -backDateMs),
    to: until,
    publicKey: privateKey,
    extensions: [
      keyUsage(digitalSignature, keyEncipherment, keyCertSign),
      extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))),
      extension('2.5.29.19', true, sequence(boolean(true))),
      extension('2.5.29.14', false, octets(keyId(privateKey))),
      extension('2.5.29.17', false, sequence(...names.map(generalName))),
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
  readonly ttlSeconds: number;
}

/** A certificate for both ends of TLS, signed by an authority; never outlives it. */
export function issueLeaf({ caPem, caKey, publicKey, subject, names, now, ttlSeconds }: LeafRequest): string {
  const ca = new X509Certificate(caPem);
  if (!ca.checkPrivateKey(caKey)) throw new Error('the authority key does not fit its certificate');
  const caEnd = ca.validToDate.toISOString();
  const end = plusMs(now, ttlSeconds * 1000);
  return signCertificate({
    serial: newSerial(),
    issuer: subjectOf(ca),
    subject,
    from: plusMs(now, -backDateMs),
    to: end < caEnd ? end : caEnd,
    publicKey,
    extensions: [
      keyUsage(digitalSignature, keyEncipherment),
      extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
      extension('2.5.29.19', true, sequence()),
      extension('2.5.29.35', false, sequence(context(0, keyId(caKey)))),
      ...(names.length === 0 ? [] : [extension('2.5.29.17', false, sequence(...names.map(generalName)))]),
    ],
    signer: caKey,
  });
}

/** The part of a certificate that is signed, as a list of its fields. */
export function fieldsOf(certificate: X509Certificate): Asn1[] {
  const [toBeSigned] = asn1.fromDer(binary(certificate.raw)).value as Asn1[];
  return toBeSigned?.value as Asn1[];
}

function subjectOf(certificate: X509Certificate): Asn1 {
  const subject = fieldsOf(certificate)[5];
  if (subject === undefined) throw new Error('certificate without a subject');
  return subject;
}

/** Every attribute of the subject in order, over single and multi-valued names alike. */
export function subjectAttributes(certificate: X509Certificate): NameAttribute[] {
  const sets = subjectOf(certificate).value as Asn1[];
  return sets.flatMap((set) =>
    (set.value as Asn1[]).map((pair) => {
      const [type, value] = pair.value as [Asn1, Asn1];
      const raw = Buffer.from(value.value as string, 'latin1');
      return {
        oid: asn1.derToOid(type.value as string),
        value: raw.toString(value.type === Type.UTF8 ? 'utf8' : 'latin1'),
      };
    }),
  );
}

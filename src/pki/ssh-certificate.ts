import { randomBytes, type KeyObject } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import {
  parsePublicKey,
  publicKeyOf,
  readKeyFields,
  sigAlgsOf,
  signSsh,
  verifySsh,
  type KeyType,
  type PublicKey,
  type SigAlg,
} from './ssh-key.ts';
import { Reader, WireError, str, u32, u64 } from './wire.ts';

const SUFFIX = '-cert-v01@openssh.com';
const BASES: readonly KeyType[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];
/** Type name stored in the blob, e.g. ssh-rsa-cert-v01@openssh.com. */
export const certTypeOf = (type: KeyType): string => type + SUFFIX;
/** Algorithm name on the wire for a signature algorithm, e.g. rsa-sha2-512-cert-v01@openssh.com. */
export const certAlgOf = (algorithm: SigAlg): string => algorithm + SUFFIX;
export const isCertAlg = (name: string): boolean => name.endsWith(SUFFIX);
/** Inverse of certAlgOf; undefined for plain names and for SHA-1 ssh-rsa certificates. */
export function sigAlgOfCertAlg(name: string): SigAlg | undefined {
  if (!isCertAlg(name)) return undefined;
  const base = name.slice(0, -SUFFIX.length);
  return BASES.flatMap(sigAlgsOf).find((algorithm) => algorithm === base);
}

const LARGEST = 0xffff_ffff_ffff_ffffn;
/** `validBefore` of a certificate that never expires. */
export const FOREVER = LARGEST;
const MAX_PRINCIPALS = 256;
/** Lists of names are text that other programs split at commas and lines. */
const forbiddenInPrincipal = /[\x00-\x1f\x7f-\x9f,]/;
/** Text that survives being written and read: no NUL, no unpaired surrogate. */
const isSoundText = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/**
 * True when a name is valid as a principal: not empty, no comma, no NUL, newline or other control character.
 */
export const isSoundPrincipal = (name: string): boolean =>
  name !== '' && isSoundText(name) && !forbiddenInPrincipal.test(name);

/** A certificate as it was read. Nothing in it may be trusted before `checkCertificate`. */
export interface Certificate {
  readonly raw: Buffer;
  /** Type name in the blob. */
  readonly certType: string;
  /** The key that is certified. */
  readonly key: PublicKey;
  readonly serial: bigint;
  readonly kind: 'user' | 'host';
  readonly keyId: string;
  readonly principals: readonly string[];
  /** Seconds since 1970, inclusive. */
  readonly validAfter: bigint;
  /** Seconds since 1970, exclusive. */
  readonly validBefore: bigint;
  readonly criticalOptions: ReadonlyMap<string, Buffer>;
  readonly extensions: ReadonlyMap<string, Buffer>;
  readonly ca: PublicKey;
  readonly signature: Buffer;
  /** The bytes that `signature` covers. */
  readonly signed: Buffer;
}

function readOptions(bytes: Buffer, what: string): Map<string, Buffer> {
  const reader = new Reader(bytes);
  const options = new Map<string, Buffer>();
  let last: Buffer | undefined;
  while (!reader.atEnd) {
    const name = reader.text();
    const raw = Buffer.from(name);
    // The format demands lexical order and no repeats; a repeat could shadow a restriction.
    if (last !== undefined && Buffer.compare(last, raw) >= 0)
      throw new WireError(`${what} repeated or out of order`);
    last = raw;
    options.set(name, reader.bytes());
  }
  return options;
}

function readPrincipals(bytes: Buffer): string[] {
  const reader = new Reader(bytes);
  const principals: string[] = [];
  while (!reader.atEnd) {
    if (principals.length === MAX_PRINCIPALS) throw new WireError('too many principals');
    principals.push(reader.text());
  }
  return principals;
}

/**
 * Reads a certificate without checking whether it is valid. Keeps a copy of the bytes.
 * @throws WireError for bytes that are not exactly one certificate.
 * Source: OpenSSH PROTOCOL.certkeys, v01.
 */
export function parseCertificate(blob: Buffer): Certificate {
  const raw = Buffer.from(blob); // callers hand out slices of packet buffers
  const reader = new Reader(raw);
  const certType = reader.text();
  const base = BASES.find((type) => certTypeOf(type) === certType);
  if (!base) throw new WireError(`not a supported certificate: ${JSON.stringify(certType.slice(0, 64))}`);
  reader.bytes(); // nonce
  const key = readKeyFields(reader, base);
  const serial = reader.u64();
  const kind = readKind(reader);
  const keyId = reader.text();
  const principals = readPrincipals(reader.bytes());
  const validAfter = reader.u64();
  const validBefore = reader.u64();
  const criticalOptions = readOptions(reader.bytes(), 'critical option');
  const extensions = readOptions(reader.bytes(), 'extension');
  reader.bytes(); // reserved, ignored by the format
  const ca = parsePublicKey(reader.bytes()); // refuses certificates as CA keys: no chaining
  const signed = raw.subarray(0, reader.pos);
  const signature = reader.bytes();
  reader.end();
  return {
    raw,
    certType,
    key,
    serial,
    kind,
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    extensions,
    ca,
    signature,
    signed,
  };
}

function readKind(reader: Reader): 'user' | 'host' {
  const kind = reader.u32();
  if (kind !== 1 && kind !== 2) throw new WireError(`bad certificate kind ${kind}`);
  return kind === 1 ? 'user' : 'host';
}

/**
 * The text in the data of an option or extension; undefined for undefined. @throws WireError for invalid
 * text.
 */
export function optionDataText(data: Buffer | undefined): string | undefined {
  if (data === undefined) return undefined;
  const reader = new Reader(data);
  const text = reader.text();
  reader.end();
  return text;
}

/**
 * The text of an extension; undefined when there is none of that name. @throws WireError for invalid text.
 */
export const extensionText = (c: Certificate, name: string): string | undefined =>
  optionDataText(c.extensions.get(name));

export interface IssueOptions {
  key: PublicKey;
  ca: KeyObject;
  /** Default: the best of the CA's key. */
  caSigAlg?: SigAlg;
  kind: 'user' | 'host';
  keyId: string;
  /** At least one, at most 256. */
  principals: string[];
  serial?: bigint;
  /** Seconds since 1970, inclusive. */
  validAfter: bigint;
  /** Seconds since 1970, exclusive. */
  validBefore: bigint;
  /** Texts by name; the empty text makes a flag. */
  criticalOptions?: Record<string, string>;
  /** As `criticalOptions`. */
  extensions?: Record<string, string>;
  /** Signs elsewhere (a hardware module) in the name of `ca`. The caller is responsible for the signature. */
  sign?: (alg: SigAlg, data: Buffer) => Buffer;
}

/** Option values are themselves SSH strings inside the data field; flags have empty data. */
const writeOptions = (options: Record<string, string> = {}): Buffer =>
  Buffer.concat(
    Object.entries(options)
      .map(([name, value]) => ({ name: Buffer.from(name), value }))
      .sort((a, b) => Buffer.compare(a.name, b.name))
      .flatMap(({ name, value }) => [str(name), str(value === '' ? Buffer.alloc(0) : str(value))]),
  );

const refusal = (why: string): CodedError =>
  new CodedError('bad_request', `cannot issue a certificate: ${why}`);

function refuseUnsound(o: IssueOptions): void {
  const { principals, keyId, validAfter, validBefore, serial = 0n } = o;
  if (principals.length === 0) throw refusal('it would have no principals');
  if (principals.length > MAX_PRINCIPALS) throw refusal(`more than ${MAX_PRINCIPALS} principals`);
  const bad = principals.find((name) => !isSoundPrincipal(name));
  if (bad !== undefined) throw refusal(`${JSON.stringify(bad)} cannot be a principal`);
  if (!isSoundText(keyId)) throw refusal('the key id is not sound text');
  if (validAfter < 0n || validBefore > LARGEST || validBefore <= validAfter)
    throw refusal('it would never be valid');
  if (serial < 0n || serial > LARGEST) throw refusal('a serial number has 64 bits');
  refuseUnsoundOptions(o);
}

function refuseUnsoundOptions({ kind, criticalOptions = {}, extensions = {} }: IssueOptions): void {
  if (kind === 'host' && Object.keys(criticalOptions).length > 0)
    throw refusal('no critical option exists for hosts');
  for (const [name, value] of [...Object.entries(criticalOptions), ...Object.entries(extensions)])
    if (name === '' || !isSoundText(name) || !isSoundText(value))
      throw refusal(`option ${JSON.stringify(name)} is not sound text`);
}

/** Signs, and verifies the signature: a faulty one could reveal the key. */
function signWith(ca: KeyObject, caPublic: PublicKey, alg: SigAlg, data: Buffer): Buffer {
  const signature = signSsh(ca, alg, data);
  if (!verifySsh(caPublic, data, signature, [alg])) throw new Error('the signature just made does not hold');
  return signature;
}

/** An authority signs many certificates. */
const publicHalves = new WeakMap<KeyObject, PublicKey>();

function publicHalfOf(ca: KeyObject): PublicKey {
  const known = publicHalves.get(ca);
  if (known) return known;
  const half = publicKeyOf(ca);
  publicHalves.set(ca, half);
  return half;
}

/**
 * Makes and signs a certificate. The caller decides what is certified.
 * @throws CodedError `bad_request` for a certificate whose form every checker would refuse. Only a checker
 *   knows which critical options of users are enforced. Source: OpenSSH PROTOCOL.certkeys, v01.
 */
export function issueCertificate(o: IssueOptions): Buffer {
  refuseUnsound(o);
  const caPublic = publicHalfOf(o.ca);
  const alg = o.caSigAlg ?? sigAlgsOf(caPublic.type)[0];
  const keyFields = o.key.blob.subarray(4 + Buffer.byteLength(o.key.type));
  const signed = Buffer.concat([
    str(certTypeOf(o.key.type)),
    str(randomBytes(32)),
    keyFields,
    u64(o.serial ?? 0n),
    u32(o.kind === 'user' ? 1 : 2),
    str(o.keyId),
    str(Buffer.concat(o.principals.map((name) => str(name)))),
    u64(o.validAfter),
    u64(o.validBefore),
    str(writeOptions(o.criticalOptions)),
    str(writeOptions(o.extensions)),
    str(''),
    str(caPublic.blob),
  ]);
  return Buffer.concat([signed, str(o.sign ? o.sign(alg, signed) : signWith(o.ca, caPublic, alg, signed))]);
}

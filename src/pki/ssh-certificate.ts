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
export const certTypeOf = (t: KeyType): string => t + SUFFIX;
/** Algorithm name on the wire for a signature algorithm, e.g. rsa-sha2-512-cert-v01@openssh.com. */
export const certAlgOf = (a: SigAlg): string => a + SUFFIX;
export const isCertAlg = (name: string): boolean => name.endsWith(SUFFIX);
/** Inverse of certAlgOf; undefined for plain names and for SHA-1 ssh-rsa certificates. */
export function sigAlgOfCertAlg(name: string): SigAlg | undefined {
  if (!isCertAlg(name)) return undefined;
  const base = name.slice(0, -SUFFIX.length);
  return BASES.flatMap(sigAlgsOf).find((a) => a === base);
}

/** `validBefore` of a certificate that never ends. */
export const FOREVER = 0xffff_ffff_ffff_ffffn;
const MAX_PRINCIPALS = 256;
/** Both ends of a name list are text that other programs split at commas and lines. */
const forbiddenInPrincipal = /[\x00-\x1f\x7f-\x9f,]/;

/** True when a name may stand among the principals: not empty, no comma, no NUL, newline or other control character. */
export const isSoundPrincipal = (name: string): boolean => name !== '' && !forbiddenInPrincipal.test(name);

/** A certificate as it was read. Nothing in it is to be believed before `checkCertificate`. */
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

function readOptions(b: Buffer, what: string): Map<string, Buffer> {
  const r = new Reader(b);
  const m = new Map<string, Buffer>();
  let last: Buffer | undefined;
  while (!r.atEnd) {
    const name = r.text();
    const raw = Buffer.from(name);
    // The format demands lexical order and no repeats; a repeat could shadow a restriction.
    if (last && Buffer.compare(last, raw) >= 0) throw new WireError(`${what} repeated or out of order`);
    last = raw;
    m.set(name, r.bytes());
  }
  return m;
}

function readPrincipals(b: Buffer): string[] {
  const r = new Reader(b);
  const principals: string[] = [];
  while (!r.atEnd) {
    if (principals.length === MAX_PRINCIPALS) throw new WireError('too many principals');
    principals.push(r.text());
  }
  return principals;
}

/**
 * Reads a certificate; says nothing of whether it is good. Keeps a copy of the bytes.
 * @throws WireError for bytes that are not exactly one certificate.
 * Source: OpenSSH PROTOCOL.certkeys, v01.
 */
export function parseCertificate(blob: Buffer): Certificate {
  const raw = Buffer.from(blob); // callers hand out slices of packet buffers
  const r = new Reader(raw);
  const certType = r.text();
  const base = BASES.find((t) => certTypeOf(t) === certType);
  if (!base) throw new WireError(`not a supported certificate: ${JSON.stringify(certType.slice(0, 64))}`);
  r.bytes(); // nonce
  const key = readKeyFields(r, base);
  const serial = r.u64();
  const k = r.u32();
  if (k !== 1 && k !== 2) throw new WireError(`bad certificate kind ${k}`);
  const keyId = r.text();
  const principals = readPrincipals(r.bytes());
  const validAfter = r.u64();
  const validBefore = r.u64();
  const criticalOptions = readOptions(r.bytes(), 'critical option');
  const extensions = readOptions(r.bytes(), 'extension');
  r.bytes(); // reserved, ignored by the format
  const ca = parsePublicKey(r.bytes()); // refuses certificates as CA keys: no chaining
  const signed = raw.subarray(0, r.pos);
  const signature = r.bytes();
  r.end();
  return {
    raw,
    certType,
    key,
    serial,
    kind: k === 1 ? 'user' : 'host',
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

/** The text in the data of an option or extension; undefined for undefined. @throws WireError when it is no text. */
export function optionDataText(data: Buffer | undefined): string | undefined {
  if (data === undefined) return undefined;
  const r = new Reader(data);
  const text = r.text();
  r.end();
  return text;
}

/** The text of an extension; undefined when there is none of that name. @throws WireError when it is no text. */
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
  /** Signs elsewhere (a hardware module) in the name of `ca`. Whoever gives it answers for the signature. */
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

function refuseUnsound({ principals, keyId, validAfter, validBefore }: IssueOptions): void {
  const refuse = (why: string): CodedError =>
    new CodedError('bad_request', `cannot issue a certificate: ${why}`);
  if (principals.length === 0) throw refuse('it would have no principals');
  if (principals.length > MAX_PRINCIPALS) throw refuse(`more than ${MAX_PRINCIPALS} principals`);
  const bad = principals.find((name) => !isSoundPrincipal(name));
  if (bad !== undefined) throw refuse(`${JSON.stringify(bad)} cannot be a principal`);
  if (keyId.includes('\0')) throw refuse('NUL in the key id');
  if (validAfter < 0n || validBefore > FOREVER || validBefore <= validAfter)
    throw refuse('it would never be valid');
}

/** Signs, and makes sure that what was signed can be relied on: a faulty signature could give the key away. */
function signWith(ca: KeyObject, caPublic: PublicKey, alg: SigAlg, data: Buffer): Buffer {
  const signature = signSsh(ca, alg, data);
  if (!verifySsh(caPublic, data, signature, [alg])) throw new Error('the signature just made does not hold');
  return signature;
}

/**
 * Makes and signs a certificate: what the caller wants certified is the caller's decision.
 * @throws CodedError `bad_request` for a certificate that every checker would refuse.
 * Source: OpenSSH PROTOCOL.certkeys, v01.
 */
export function issueCertificate(o: IssueOptions): Buffer {
  refuseUnsound(o);
  const caPublic = publicKeyOf(o.ca);
  const alg = o.caSigAlg ?? sigAlgsOf(caPublic.type)[0];
  const keyFields = o.key.blob.subarray(4 + Buffer.byteLength(o.key.type));
  const signed = Buffer.concat([
    str(certTypeOf(o.key.type)),
    str(randomBytes(32)),
    keyFields,
    u64(o.serial ?? 0n),
    u32(o.kind === 'user' ? 1 : 2),
    str(o.keyId),
    str(Buffer.concat(o.principals.map((p) => str(p)))),
    u64(o.validAfter),
    u64(o.validBefore),
    str(writeOptions(o.criticalOptions)),
    str(writeOptions(o.extensions)),
    str(''),
    str(caPublic.blob),
  ]);
  return Buffer.concat([signed, str(o.sign ? o.sign(alg, signed) : signWith(o.ca, caPublic, alg, signed))]);
}

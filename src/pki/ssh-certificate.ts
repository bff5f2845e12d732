/** OpenSSH certificates (PROTOCOL.certkeys, v01): parse, issue, check. */
import { randomBytes, type KeyObject } from 'node:crypto';
import { Reader, WireError, str, u32, u64 } from './wire.ts';
import {
  parsePublicKey,
  publicKeyOf,
  readKeyFields,
  sigAlgsOf,
  signSsh,
  type KeyType,
  type PublicKey,
  type SigAlg,
} from './ssh-key.ts';

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

export const FOREVER = 0xffff_ffff_ffff_ffffn;
const MAX_PRINCIPALS = 256;

export interface Certificate {
  readonly raw: Buffer;
  readonly certType: string;
  readonly key: PublicKey; // the certified plain key
  readonly serial: bigint;
  readonly kind: 'user' | 'host';
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly validAfter: bigint; // seconds, inclusive
  readonly validBefore: bigint; // seconds, exclusive
  readonly criticalOptions: ReadonlyMap<string, Buffer>;
  readonly extensions: ReadonlyMap<string, Buffer>;
  readonly ca: PublicKey;
  readonly signature: Buffer;
  readonly signed: Buffer; // bytes covered by the CA signature
}

/** First string of a blob, or '' when it is not even that. */
export function blobType(blob: Buffer): string {
  try {
    return new Reader(blob).text();
  } catch {
    return '';
  }
}

function readOptions(b: Buffer, what: string): Map<string, Buffer> {
  const r = new Reader(b);
  const m = new Map<string, Buffer>();
  let last: Buffer | undefined;
  while (!r.atEnd) {
    const name = r.text();
    const raw = Buffer.from(name);
    // The format demands lexical order and no repeats; a repeat could shadow a restriction.
    if (last && Buffer.compare(last, raw) >= 0)
      throw new WireError(`${what} repeated or out of order: ${name}`);
    last = raw;
    m.set(name, r.bytes());
  }
  return m;
}

export function parseCertificate(blob: Buffer): Certificate {
  const raw = Buffer.from(blob); // own copy: ssh2 hands out slices of its packet buffer
  const r = new Reader(raw);
  const certType = r.text();
  const base = BASES.find((t) => certTypeOf(t) === certType);
  if (!base) throw new WireError(`not a supported certificate: ${certType.slice(0, 64)}`);
  r.bytes(); // nonce
  const key = readKeyFields(r, base);
  const serial = r.u64();
  const k = r.u32();
  if (k !== 1 && k !== 2) throw new WireError(`bad certificate kind ${k}`);
  const keyId = r.text();
  const principals: string[] = [];
  const pr = new Reader(r.bytes());
  while (!pr.atEnd) {
    if (principals.length === MAX_PRINCIPALS) throw new WireError('too many principals');
    principals.push(pr.text());
  }
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

export interface IssueOptions {
  key: PublicKey;
  ca: KeyObject;
  caSigAlg?: SigAlg;
  kind: 'user' | 'host';
  keyId: string;
  principals: string[];
  serial?: bigint;
  validAfter: bigint;
  validBefore: bigint;
  criticalOptions?: Record<string, string>;
  extensions?: Record<string, string>;
  /** for HSM/KMS CAs; default signs with `ca` in-process */
  sign?: (alg: SigAlg, data: Buffer) => Buffer;
}

/** Option values are themselves SSH strings inside the data field; flags have empty data. */
const writeOptions = (o: Record<string, string> = {}): Buffer =>
  Buffer.concat(
    Object.keys(o)
      .map((k) => Buffer.from(k))
      .sort(Buffer.compare)
      .flatMap((k) => {
        const v = o[k.toString()]!;
        return [str(k), str(v === '' ? Buffer.alloc(0) : str(v))];
      }),
  );

export function issueCertificate(o: IssueOptions): Buffer {
  if (o.principals.length === 0) throw new Error('refusing to issue a certificate without principals');
  if (o.validBefore <= o.validAfter) throw new Error('empty validity');
  const caPub = publicKeyOf(o.ca);
  const alg = o.caSigAlg ?? sigAlgsOf(caPub.type)[0]!;
  const keyFields = o.key.blob.subarray(4 + Buffer.byteLength(o.key.type));
  const tbs = Buffer.concat([
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
    str(caPub.blob),
  ]);
  return Buffer.concat([tbs, str(o.sign ? o.sign(alg, tbs) : signSsh(o.ca, alg, tbs))]);
}

/** SSH public key blobs and signatures over node:crypto KeyObjects. No SHA-1, no DSA. */
import { createHash, createPublicKey, sign, verify, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { Reader, WireError, mpint, str } from './wire.ts';

/** The name of a key's type in its blob. */
export type KeyType =
  'ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521' | 'ssh-rsa';
/** The algorithm name of a signature. RSA keys sign under two names, all others under their own. */
export type SigAlg = Exclude<KeyType, 'ssh-rsa'> | 'rsa-sha2-256' | 'rsa-sha2-512';

const CURVES = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', crv: 'P-256', size: 32, hash: 'sha256' },
  'ecdsa-sha2-nistp384': { name: 'nistp384', crv: 'P-384', size: 48, hash: 'sha384' },
  'ecdsa-sha2-nistp521': { name: 'nistp521', crv: 'P-521', size: 66, hash: 'sha512' },
} as const;
type EcType = keyof typeof CURVES;
const isEc = (t: string): t is EcType => Object.hasOwn(CURVES, t);

export interface PublicKey {
  readonly type: KeyType;
  /** The plain key as SSH writes it (RFC 4253, section 6.6), also when it was read out of a certificate. */
  readonly blob: Buffer;
  readonly key: KeyObject;
}

const b64u = (b: Buffer) => b.toString('base64url');
const fromB64u = (s: string) => Buffer.from(s, 'base64url');
const pad = (b: Buffer, n: number) => {
  if (b.length > n) throw new WireError('integer too large');
  return Buffer.concat([Buffer.alloc(n - b.length), b]);
};

/** node:crypto refuses points off their curve with errors of its own; here they count as unreadable bytes. */
function keyFromJwk(key: JsonWebKeyInput['key']): KeyObject {
  try {
    return createPublicKey({ format: 'jwk', key });
  } catch (cause) {
    throw new WireError('not a public key', { cause });
  }
}

/** Signature algorithms a key may use, best first. SHA-1 ("ssh-rsa") is deliberately absent. */
export const sigAlgsOf = (t: KeyType): [SigAlg, ...SigAlg[]] =>
  t === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [t];

/**
 * Reads the key-specific fields that follow the type name (shared by plain keys and certificates).
 * @throws WireError for anything that is not a sound key of that type; RSA from 2048 to 16384 bits.
 */
export function readKeyFields(r: Reader, type: KeyType): PublicKey {
  if (type === 'ssh-ed25519') {
    const x = r.bytes();
    if (x.length !== 32) throw new WireError('bad ed25519 key');
    return {
      type,
      blob: Buffer.concat([str(type), str(x)]),
      key: keyFromJwk({ kty: 'OKP', crv: 'Ed25519', x: b64u(x) }),
    };
  }
  if (isEc(type)) {
    const c = CURVES[type];
    if (r.text() !== c.name) throw new WireError('curve does not match key type');
    const q = r.bytes();
    if (q.length !== 1 + 2 * c.size || q[0] !== 4) throw new WireError('bad EC point');
    const [x, y] = [q.subarray(1, 1 + c.size), q.subarray(1 + c.size)];
    const key = keyFromJwk({ kty: 'EC', crv: c.crv, x: b64u(x), y: b64u(y) });
    return { type, blob: Buffer.concat([str(type), str(c.name), str(q)]), key };
  }
  const e = r.mpint();
  const n = r.mpint();
  if (n.length < 256) throw new WireError('RSA key shorter than 2048 bits');
  if (n.length > 2048 || e.length > 8) throw new WireError('RSA key too large');
  // With an exponent of 1 every message is its own signature; an even one cannot be inverted.
  if (e.equals(Buffer.of(1)) || e.readUInt8(e.length - 1) % 2 === 0) throw new WireError('bad RSA exponent');
  return {
    type: 'ssh-rsa',
    blob: Buffer.concat([str('ssh-rsa'), mpint(e), mpint(n)]),
    key: keyFromJwk({ kty: 'RSA', n: b64u(n), e: b64u(e) }),
  };
}

/**
 * A plain public key. Certificates are not keys: a caller that expects a key cannot be given a chain.
 * @throws WireError
 */
export function parsePublicKey(blob: Buffer): PublicKey {
  const r = new Reader(blob);
  const type = r.text();
  if (type !== 'ssh-ed25519' && type !== 'ssh-rsa' && !isEc(type))
    throw new WireError(`unsupported key type ${JSON.stringify(type.slice(0, 64))}`);
  const k = readKeyFields(r, type);
  r.end();
  return k;
}

/**
 * Public half of a KeyObject (private or public).
 * @throws CodedError `bad_request` for a type that is not supported for SSH here (X25519, secp256k1, DSA,
 *   ...).
 */
export function publicKeyOf(k: KeyObject): PublicKey {
  const type = k.asymmetricKeyType;
  const known = type === 'ed25519' || type === 'ec' || type === 'rsa';
  const jwk = known ? (k.type === 'private' ? createPublicKey(k) : k).export({ format: 'jwk' }) : {};
  const blob = blobOf(jwk);
  if (blob === undefined)
    throw new CodedError('bad_request', `SSH has no keys of type ${jwk.crv ?? type ?? k.type} here`);
  return parsePublicKey(blob);
}

function blobOf({ kty, crv, x = '', y = '', e = '', n = '' }: JsonWebKeyInput['key']): Buffer | undefined {
  if (kty === 'OKP') return Buffer.concat([str('ssh-ed25519'), str(fromB64u(x))]);
  if (kty === 'RSA') return Buffer.concat([str('ssh-rsa'), mpint(fromB64u(e)), mpint(fromB64u(n))]);
  const type = (Object.keys(CURVES) as EcType[]).find((t) => CURVES[t].crv === crv);
  if (type === undefined) return undefined;
  const point = Buffer.concat([Buffer.of(4), fromB64u(x), fromB64u(y)]);
  return Buffer.concat([str(type), str(CURVES[type].name), str(point)]);
}

/** Splits an SSH signature blob into algorithm name and raw value. @throws WireError */
export function splitSignature(sig: Buffer): { alg: string; value: Buffer } {
  const r = new Reader(sig);
  const alg = r.text();
  const value = r.bytes();
  r.end();
  return { alg, value };
}

const keyTypesOfNode: Readonly<Record<string, (alg: SigAlg) => boolean>> = {
  ed25519: (alg) => alg === 'ssh-ed25519',
  ec: isEc,
  rsa: (alg) => alg === 'rsa-sha2-512' || alg === 'rsa-sha2-256',
};

/**
 * SSH signature blob: string algorithm || string value.
 * @throws Error when the algorithm is not one of the key: a bug of the caller.
 * Source: RFC 8709, RFC 5656 section 3.1.2, RFC 8332.
 */
export function signSsh(priv: KeyObject, alg: SigAlg, data: Buffer): Buffer {
  if (keyTypesOfNode[priv.asymmetricKeyType ?? '']?.(alg) !== true)
    throw new Error(`a key of type ${priv.asymmetricKeyType ?? '?'} cannot sign as ${alg}`);
  if (alg === 'ssh-ed25519') return Buffer.concat([str(alg), str(sign(null, data, priv))]);
  if (isEc(alg)) {
    const c = CURVES[alg];
    const rs = sign(c.hash, data, { key: priv, dsaEncoding: 'ieee-p1363' });
    if (rs.length !== 2 * c.size) throw new Error(`the key is not on ${c.name}`);
    return Buffer.concat([
      str(alg),
      str(Buffer.concat([mpint(rs.subarray(0, c.size)), mpint(rs.subarray(c.size))])),
    ]);
  }
  return Buffer.concat([str(alg), str(sign(alg === 'rsa-sha2-512' ? 'sha512' : 'sha256', data, priv))]);
}

/**
 * True when the signature blob is by this key over `data`. `allowed` narrows the algorithms (default: all of
 * the key). False, never an error, for any other blob.
 */
export function verifySsh(
  pub: PublicKey,
  data: Buffer,
  sig: Buffer,
  allowed: readonly string[] = sigAlgsOf(pub.type),
): boolean {
  try {
    const { alg, value } = splitSignature(sig);
    if (!allowed.includes(alg) || !(sigAlgsOf(pub.type) as string[]).includes(alg)) return false;
    if (alg === 'ssh-ed25519') return value.length === 64 && verify(null, data, pub.key, value);
    if (isEc(alg)) {
      const c = CURVES[alg];
      const r = new Reader(value);
      const rs = Buffer.concat([pad(r.mpint(), c.size), pad(r.mpint(), c.size)]);
      r.end();
      return verify(c.hash, data, { key: pub.key, dsaEncoding: 'ieee-p1363' }, rs);
    }
    return verify(alg === 'rsa-sha2-512' ? 'sha512' : 'sha256', data, pub.key, value);
  } catch {
    return false; // not a signature blob, or integers that node:crypto refuses: it proves nothing
  }
}

/** As `ssh-keygen -l` shows it. */
export const fingerprint = (blob: Buffer): string =>
  'SHA256:' + createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');

/**
 * `ssh-ed25519 AAAA… comment`, without a newline. Also for certificates.
 * @throws CodedError `bad_request` when the comment would break the line.
 */
export function toAuthorizedKeyLine(blob: Buffer, comment = ''): string {
  if (/[\x00-\x1f\x7f]/.test(comment))
    throw new CodedError('bad_request', 'the comment of a key must be one line of text');
  return `${new Reader(blob).text()} ${blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`;
}

/**
 * The blob of one line of authorized_keys, or of a certificate file. Options before the key are not
 * supported.
 * @throws WireError when it is not exactly one such line, or its name and its blob disagree.
 */
export function fromAuthorizedKeyLine(line: string): Buffer {
  const trimmed = line.trim();
  if (/[\r\n]/.test(trimmed)) throw new WireError('more than one public key line');
  const [name, base64 = ''] = trimmed.split(/[ \t]+/);
  const blob = Buffer.from(base64, 'base64');
  if (blob.toString('base64') !== base64 || new Reader(blob).text() !== name)
    throw new WireError('not a public key line');
  return blob;
}

/**
 * The blobs of an authority's keys, by which certificates name it. @throws WireError for a line that is not a
 * key.
 */
export const authorityBlobs = (keys: readonly { readonly sshPublicKey: string }[]): Buffer[] =>
  keys.map(({ sshPublicKey }) => fromAuthorizedKeyLine(sshPublicKey));

/** SSH public key blobs and signatures over node:crypto KeyObjects. No SHA-1, no DSA. */
import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { Reader, WireError, mpint, str } from './wire.ts';

export type KeyType =
  'ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521' | 'ssh-rsa';
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
  readonly blob: Buffer;
  readonly key: KeyObject;
}

const b64u = (b: Buffer) => b.toString('base64url');
const fromB64u = (s: string) => Buffer.from(s, 'base64url');
const pad = (b: Buffer, n: number) => {
  if (b.length > n) throw new WireError('integer too large');
  return Buffer.concat([Buffer.alloc(n - b.length), b]);
};

/** Signature algorithms a key may use, best first. SHA-1 ("ssh-rsa") is deliberately absent. */
export const sigAlgsOf = (t: KeyType): SigAlg[] => (t === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [t]);

/** Reads the key-specific fields that follow the type name (shared by plain keys and certificates). */
export function readKeyFields(r: Reader, type: KeyType): PublicKey {
  if (type === 'ssh-ed25519') {
    const x = r.bytes();
    if (x.length !== 32) throw new WireError('bad ed25519 key');
    return {
      type,
      blob: Buffer.concat([str(type), str(x)]),
      key: createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: b64u(x) } }),
    };
  }
  if (isEc(type)) {
    const c = CURVES[type];
    if (r.text() !== c.name) throw new WireError('curve does not match key type');
    const q = r.bytes();
    if (q.length !== 1 + 2 * c.size || q[0] !== 4) throw new WireError('bad EC point');
    const key = createPublicKey({
      format: 'jwk',
      key: { kty: 'EC', crv: c.crv, x: b64u(q.subarray(1, 1 + c.size)), y: b64u(q.subarray(1 + c.size)) },
    });
    return { type, blob: Buffer.concat([str(type), str(c.name), str(q)]), key };
  }
  const e = r.mpint();
  const n = r.mpint();
  if (n.length < 256) throw new WireError('RSA key shorter than 2048 bits');
  if (n.length > 2048 || e.length > 8) throw new WireError('RSA key too large');
  return {
    type: 'ssh-rsa',
    blob: Buffer.concat([str('ssh-rsa'), mpint(e), mpint(n)]),
    key: createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: b64u(n), e: b64u(e) } }),
  };
}

export function parsePublicKey(blob: Buffer): PublicKey {
  const r = new Reader(blob);
  const type = r.text();
  if (type !== 'ssh-ed25519' && type !== 'ssh-rsa' && !isEc(type))
    throw new WireError(`unsupported key type ${type}`);
  const k = readKeyFields(r, type);
  r.end();
  return k;
}

/** Public half of a node KeyObject (private or public). */
export function publicKeyOf(k: KeyObject): PublicKey {
  const j = (k.type === 'private' ? createPublicKey(k) : k).export({ format: 'jwk' });
  if (j.kty === 'OKP' && j.crv === 'Ed25519')
    return parsePublicKey(Buffer.concat([str('ssh-ed25519'), str(fromB64u(j.x!))]));
  if (j.kty === 'EC') {
    const t = (Object.keys(CURVES) as EcType[]).find((t) => CURVES[t].crv === j.crv);
    if (t)
      return parsePublicKey(
        Buffer.concat([
          str(t),
          str(CURVES[t].name),
          str(Buffer.concat([Buffer.of(4), fromB64u(j.x!), fromB64u(j.y!)])),
        ]),
      );
  }
  if (j.kty === 'RSA')
    return parsePublicKey(Buffer.concat([str('ssh-rsa'), mpint(fromB64u(j.e!)), mpint(fromB64u(j.n!))]));
  throw new Error(`unsupported key ${j.kty} ${j.crv ?? ''}`);
}

/** Splits an SSH signature blob into algorithm name and raw value. */
export function splitSignature(sig: Buffer): { alg: string; value: Buffer } {
  const r = new Reader(sig);
  const alg = r.text();
  const value = r.bytes();
  r.end();
  return { alg, value };
}

/** SSH signature blob: string algorithm || string value. */
export function signSsh(priv: KeyObject, alg: SigAlg, data: Buffer): Buffer {
  if (alg === 'ssh-ed25519') return Buffer.concat([str(alg), str(sign(null, data, priv))]);
  if (isEc(alg)) {
    const c = CURVES[alg];
    const rs = sign(c.hash, data, { key: priv, dsaEncoding: 'ieee-p1363' });
    return Buffer.concat([
      str(alg),
      str(Buffer.concat([mpint(rs.subarray(0, c.size)), mpint(rs.subarray(c.size))])),
    ]);
  }
  return Buffer.concat([str(alg), str(sign(alg === 'rsa-sha2-512' ? 'sha512' : 'sha256', data, priv))]);
}

/** Verifies an SSH signature blob. `allowed` narrows the algorithms (default: all sane ones of the key). */
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
    return false;
  }
}

export const fingerprint = (blob: Buffer): string =>
  'SHA256:' + createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');

/** `ssh-ed25519 AAAA… comment`, without a newline. Also for certificates. */
export const toAuthorizedKeyLine = (blob: Buffer, comment = ''): string =>
  `${new Reader(blob).text()} ${blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`;

/** The blob of an authorized_keys or certificate line. @throws WireError when the name and the blob disagree. */
export function fromAuthorizedKeyLine(line: string): Buffer {
  const [name, base64] = line.trim().split(/\s+/);
  const blob = Buffer.from(base64 ?? '', 'base64');
  if (new Reader(blob).text() !== name) throw new WireError('not a public key line');
  return blob;
}

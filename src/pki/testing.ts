import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { certTypeOf } from './ssh-certificate.ts';
import { publicKeyOf, sigAlgsOf, signSsh, type PublicKey } from './ssh-key.ts';
import { str, u32, u64 } from './wire.ts';

export const keyKinds = ['ed25519', 'p256', 'p384', 'p521', 'rsa'] as const;
export type KeyKind = (typeof keyKinds)[number];

const curves = { p256: 'P-256', p384: 'P-384', p521: 'P-521' } as const;

function generate(kind: KeyKind): KeyObject {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519').privateKey;
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  return generateKeyPairSync('ec', { namedCurve: curves[kind] }).privateKey;
}

const keys = new Map<string, KeyObject>();
/** The private key of this kind and purpose: made once, as RSA keys take their time. */
export function keyOf(kind: KeyKind, purpose = 'user'): KeyObject {
  const name = `${kind} ${purpose}`;
  const key = keys.get(name) ?? generate(kind);
  keys.set(name, key);
  return key;
}
export const blobOf = (kind: KeyKind, purpose = 'user'): Buffer => publicKeyOf(keyOf(kind, purpose)).blob;

/** A moment with a fraction, as real clocks have. */
export const testNow = '2026-01-02T03:04:05.678Z';
export const testNowSeconds = BigInt(Date.parse('2026-01-02T03:04:05.000Z') / 1000);

/** Fields of a certificate as bytes, for certificates that our own issuer refuses to make. */
export interface RawCertificate {
  readonly type: string;
  readonly key: PublicKey;
  readonly kind: number;
  readonly keyId: string;
  readonly principals: readonly string[];
  readonly validAfter: bigint;
  readonly validBefore: bigint;
  readonly criticalOptions: readonly (readonly [string, Buffer])[];
  readonly extensions: readonly (readonly [string, Buffer])[];
  readonly caBlob: Buffer;
  readonly sign: (signed: Buffer) => Buffer;
  readonly trailing: Buffer;
}

const list = (options: RawCertificate['criticalOptions']): Buffer =>
  str(Buffer.concat(options.flatMap(([name, data]) => [str(name), str(data)])));

/** A valid user certificate for `root`, by the Ed25519 key of purpose `ca`, changed by `wish`. */
export function rawCertificate(wish: Partial<RawCertificate> = {}): Buffer {
  const key = wish.key ?? publicKeyOf(keyOf('ed25519'));
  const ca = keyOf('ed25519', 'ca');
  const f: RawCertificate = {
    type: certTypeOf(key.type),
    key,
    kind: 1,
    keyId: 'alice',
    principals: ['root'],
    validAfter: testNowSeconds - 60n,
    validBefore: testNowSeconds + 3600n,
    criticalOptions: [],
    extensions: [['permit-pty', Buffer.alloc(0)]],
    caBlob: publicKeyOf(ca).blob,
    sign: (signed) => signSsh(ca, sigAlgsOf(publicKeyOf(ca).type)[0], signed),
    trailing: Buffer.alloc(0),
    ...wish,
  };
  const signed = Buffer.concat([
    str(f.type),
    str(Buffer.alloc(32, 7)),
    key.blob.subarray(4 + key.type.length),
    u64(0n),
    u32(f.kind),
    str(f.keyId),
    str(Buffer.concat(f.principals.map((name) => str(name)))),
    u64(f.validAfter),
    u64(f.validBefore),
    list(f.criticalOptions),
    list(f.extensions),
    str(''),
    str(f.caBlob),
  ]);
  return Buffer.concat([signed, str(f.sign(signed)), f.trailing]);
}

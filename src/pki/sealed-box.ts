import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { CodedError } from '../base/errors.ts';

/*
 * Small secrets for whoever holds a private key, from anybody: X25519 with a key of its own for each, HKDF
 * with SHA-256 over both public keys, AES-256-GCM. The key is used once, so that the nonce is zeros.
 *
 *     u8 version 1 | 32 ephemeral public key | ciphertext | 16 tag
 *
 * Source: the construction is that of HPKE's base mode (RFC 9180), reduced to one suite.
 */

const version = 1;
const keyBytes = 32;
const tagBytes = 16;
const nonce = Buffer.alloc(12);
const about = 'teleport sealed box 1';

/** Raw public key, 32 bytes, and private key in PKCS #8, DER. */
export interface BoxKeys {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

export function newBoxKeys(): BoxKeys {
  const { privateKey } = generateKeyPairSync('x25519');
  return {
    publicKey: rawOf(createPublicKey(privateKey)),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }),
  };
}

/** Source: RFC 8410, the last 32 bytes of a SubjectPublicKeyInfo. */
const rawOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' }).subarray(-keyBytes);
const spkiHead = Buffer.from('302a300506032b656e032100', 'hex');
const publicFrom = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([spkiHead, raw]), format: 'der', type: 'spki' });

const secretOf = (shared: Uint8Array, ephemeral: Uint8Array, recipient: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', shared, Buffer.concat([ephemeral, recipient]), about, keyBytes));

/**
 * @param recipient raw public key, 32 bytes.
 * @param context bound to it: it opens only with the same.
 * @throws CodedError `damaged` for bytes that are no public key.
 */
export function sealBox(recipient: Uint8Array, secret: Uint8Array, context: string): Buffer {
  try {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const ephemeral = rawOf(publicKey);
    const shared = diffieHellman({ privateKey, publicKey: publicFrom(recipient) });
    const cipher = createCipheriv('aes-256-gcm', secretOf(shared, ephemeral, recipient), nonce).setAAD(
      Buffer.from(context),
    );
    const sealed = [cipher.update(secret), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat([Buffer.of(version), ephemeral, ...sealed]);
  } catch (cause) {
    throw new CodedError('damaged', 'that is no public key to seal for', { cause });
  }
}

/** @throws CodedError `damaged` for whatever was not sealed for this key with this context. */
export function openBox({ publicKey, privateKey }: BoxKeys, sealed: Uint8Array, context: string): Buffer {
  try {
    const box = Buffer.from(sealed);
    if (box[0] !== version || box.length < 1 + keyBytes + tagBytes) throw new Error('the form is not known');
    const ephemeral = box.subarray(1, 1 + keyBytes);
    const own = createPrivateKey({ key: privateKey, format: 'der', type: 'pkcs8' });
    const shared = diffieHellman({ privateKey: own, publicKey: publicFrom(ephemeral) });
    const decipher = createDecipheriv('aes-256-gcm', secretOf(shared, ephemeral, publicKey), nonce)
      .setAAD(Buffer.from(context))
      .setAuthTag(box.subarray(-tagBytes));
    return Buffer.concat([decipher.update(box.subarray(1 + keyBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new CodedError('damaged', 'a sealed key does not open', { cause });
  }
}

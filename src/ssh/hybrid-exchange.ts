/**
 * The key exchange mlkem768x25519-sha256: a secret of ML-KEM-768 and one of X25519, hashed together, so that
 * recorded traffic stays secret as long as either is secure. Sources: draft-ietf-sshm-mlkem-hybrid-kex, FIPS
 * 203, RFC 7748.
 */
import {
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  hash,
  type KeyObject,
} from 'node:crypto';

export const hybridName = 'mlkem768x25519-sha256';

/** SubjectPublicKeyInfo up to the raw key. */
const kemPrefix = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex');
const curvePrefix = Buffer.from('302a300506032b656e032100', 'hex');
const kemKeyBytes = 1184;
const ciphertextBytes = 1088;
const curveBytes = 32;

/** False where this Node was built without ML-KEM: then it is not offered. */
export const hybridSupported: boolean = (() => {
  try {
    return rawOf(generateKeyPairSync('ml-kem-768').publicKey, kemPrefix).length === kemKeyBytes;
  } catch {
    return false;
  }
})();

export interface HybridClient {
  /** C_INIT. */
  readonly init: Buffer;
  /** K, from the server's S_REPLY. @throws Error when it is not one. */
  secret(reply: Buffer): Buffer;
}

/** The client's part. */
export function hybridClient(): HybridClient {
  const kem = generateKeyPairSync('ml-kem-768');
  const curve = generateKeyPairSync('x25519');
  return {
    init: Buffer.concat([rawOf(kem.publicKey, kemPrefix), rawOf(curve.publicKey, curvePrefix)]),
    secret: (reply) => {
      checkLength(reply, ciphertextBytes + curveBytes);
      return combined(
        decapsulate(kem.privateKey, reply.subarray(0, ciphertextBytes)),
        curveSecret(curve.privateKey, reply.subarray(ciphertextBytes)),
      );
    },
  };
}

/** The server's part: S_REPLY and K for the client's C_INIT. @throws Error when it is not one. */
export function hybridServer(init: Buffer): { readonly reply: Buffer; readonly secret: Buffer } {
  checkLength(init, kemKeyBytes + curveBytes);
  const curve = generateKeyPairSync('x25519');
  const { sharedKey, ciphertext } = encapsulate(publicKey(kemPrefix, init.subarray(0, kemKeyBytes)));
  return {
    reply: Buffer.concat([ciphertext, rawOf(curve.publicKey, curvePrefix)]),
    secret: combined(sharedKey, curveSecret(curve.privateKey, init.subarray(kemKeyBytes))),
  };
}

const combined = (kem: Buffer, curve: Buffer): Buffer =>
  hash('sha256', Buffer.concat([kem, curve]), 'buffer');

/** @throws Error also for a point of small order: then it is all zeros, and no secret. */
const curveSecret = (privateKey: KeyObject, raw: Buffer): Buffer =>
  diffieHellman({ privateKey, publicKey: publicKey(curvePrefix, raw) });

const publicKey = (prefix: Buffer, raw: Buffer): KeyObject =>
  createPublicKey({ key: Buffer.concat([prefix, raw]), format: 'der', type: 'spki' });

function rawOf(key: KeyObject, prefix: Buffer): Buffer {
  const der = key.export({ type: 'spki', format: 'der' });
  if (!der.subarray(0, prefix.length).equals(prefix)) throw new Error('a public key of another form');
  return der.subarray(prefix.length);
}

function checkLength(data: Buffer, bytes: number): void {
  if (data.length !== bytes) throw new Error(`${data.length} bytes instead of ${bytes}`);
}

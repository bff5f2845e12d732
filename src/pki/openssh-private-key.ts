import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { publicKeyOf } from './ssh-key.ts';
import { Reader, WireError, str, u32 } from './wire.ts';

const magic = Buffer.from('openssh-key-v1\0');
const header = '-----BEGIN OPENSSH PRIVATE KEY-----';
const footer = '-----END OPENSSH PRIVATE KEY-----';
const blockSize = 8;
/** DER before the 32 bytes of an Ed25519 private key in PKCS #8. Source: RFC 8410, section 7. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * An Ed25519 private key as stock `ssh` reads it, without a passphrase.
 * @throws CodedError `bad_request` for a key of another type.
 * Source: OpenSSH PROTOCOL.key.
 */
export function encodeOpensshPrivateKey(privateKey: KeyObject, comment: string): string {
  const { d, x, crv } = privateKey.export({ format: 'jwk' });
  if (crv !== 'Ed25519' || d === undefined || x === undefined)
    throw new CodedError('bad_request', 'only private keys of type Ed25519 are written for ssh');
  const pub = publicKeyOf(privateKey);
  const check = randomBytes(4);
  const secret = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
  const body = Buffer.concat([check, check, pub.blob, str(secret), str(comment)]);
  const padding = Buffer.from(
    Array.from({ length: (blockSize - (body.length % blockSize)) % blockSize }, (_, i) => i + 1),
  );
  const all = Buffer.concat([
    magic,
    str('none'),
    str('none'),
    str(''),
    u32(1),
    str(pub.blob),
    str(Buffer.concat([body, padding])),
  ]);
  const lines = all.toString('base64').replace(/.{70}(?=.)/g, '$&\n');
  return `${header}\n${lines}\n${footer}\n`;
}

/**
 * The key in a file that `encodeOpensshPrivateKey` or `ssh-keygen -t ed25519 -N ''` wrote.
 * @throws WireError when it is something else, is damaged, or has a passphrase.
 */
export function decodeOpensshPrivateKey(pem: string): KeyObject {
  const { publicBlob, secretPart } = readOuter(bytesOf(pem));
  const { publicKey, secret } = readSecretPart(secretPart);
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, secret.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  });
  const { blob } = publicKeyOf(key);
  // The public half is in three places; signing with a pair that does not match would reveal the key.
  const own = blob.subarray(-32);
  if (!blob.equals(publicBlob) || !own.equals(publicKey) || !own.equals(secret.subarray(32)))
    throw new WireError('private key does not fit its public key');
  return key;
}

function bytesOf(pem: string): Buffer {
  const text = pem.trim();
  if (!text.startsWith(header) || !text.endsWith(footer)) throw new WireError('not an OpenSSH private key');
  const base64 = text.slice(header.length, -footer.length).replace(/\s/g, '');
  const all = Buffer.from(base64, 'base64');
  if (all.toString('base64') !== base64 || !all.subarray(0, magic.length).equals(magic))
    throw new WireError('not an OpenSSH private key');
  return all.subarray(magic.length);
}

function readOuter(bytes: Buffer): { publicBlob: Buffer; secretPart: Buffer } {
  const r = new Reader(bytes);
  if (r.text() !== 'none' || r.text() !== 'none') throw new WireError('the private key has a passphrase');
  if (r.bytes().length !== 0) throw new WireError('private key is damaged');
  if (r.u32() !== 1) throw new WireError('expected one private key');
  const publicBlob = r.bytes();
  const secretPart = r.bytes();
  r.end();
  return { publicBlob, secretPart };
}

function readSecretPart(bytes: Buffer): { publicKey: Buffer; secret: Buffer } {
  const r = new Reader(bytes);
  if (r.u32() !== r.u32()) throw new WireError('private key is damaged');
  if (r.text() !== 'ssh-ed25519') throw new WireError('only Ed25519 keys are read');
  const publicKey = r.bytes();
  const secret = r.bytes();
  if (secret.length !== 64) throw new WireError('private key is damaged');
  r.bytes(); // the comment: any bytes
  for (let expected = 1; !r.atEnd; expected++)
    if (expected >= blockSize || r.u8() !== expected) throw new WireError('private key is damaged');
  return { publicKey, secret };
}

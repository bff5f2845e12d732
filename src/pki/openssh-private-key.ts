import { createPrivateKey, randomBytes, type KeyObject } from 'node:crypto';
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
 * Source: OpenSSH PROTOCOL.key.
 */
export function encodeOpensshPrivateKey(privateKey: KeyObject, comment: string): string {
  const pub = publicKeyOf(privateKey);
  const { d, x, crv } = privateKey.export({ format: 'jwk' });
  if (crv !== 'Ed25519' || d === undefined || x === undefined)
    throw new Error('only Ed25519 keys are written');
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
 * The key of a file that `encodeOpensshPrivateKey` or `ssh-keygen -t ed25519 -N ''` wrote.
 * @throws WireError when it is something else, or has a passphrase.
 */
export function decodeOpensshPrivateKey(pem: string): KeyObject {
  const text = pem.trim();
  if (!text.startsWith(header) || !text.endsWith(footer)) throw new WireError('not an OpenSSH private key');
  const all = Buffer.from(text.slice(header.length, -footer.length).replace(/\s/g, ''), 'base64');
  if (!all.subarray(0, magic.length).equals(magic)) throw new WireError('not an OpenSSH private key');
  const outer = new Reader(all.subarray(magic.length));
  if (outer.text() !== 'none' || outer.text() !== 'none')
    throw new WireError('the private key has a passphrase');
  outer.bytes();
  if (outer.u32() !== 1) throw new WireError('expected one private key');
  const publicBlob = outer.bytes();
  const inner = new Reader(outer.bytes());
  outer.end();
  if (inner.u32() !== inner.u32()) throw new WireError('private key is damaged');
  if (inner.text() !== 'ssh-ed25519') throw new WireError('only Ed25519 keys are read');
  inner.bytes();
  const secret = inner.bytes();
  if (secret.length !== 64) throw new WireError('private key is damaged');
  const key = createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, secret.subarray(0, 32)]),
    format: 'der',
    type: 'pkcs8',
  });
  if (!publicKeyOf(key).blob.equals(publicBlob))
    throw new WireError('private key does not fit its public key');
  return key;
}

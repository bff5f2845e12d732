import { sign as signRaw, type KeyObject } from 'node:crypto';
import { issueCertificate, parseCertificate } from '../../src/pki/ssh-certificate.ts';
import { publicKeyOf, signSsh, type SigAlg } from '../../src/pki/ssh-key.ts';
import { str } from '../../src/pki/wire.ts';
import type { Shown } from './ssh-raw-client.ts';
import {
  blobOf,
  hostAuthority,
  hostCertificate,
  makeKey,
  now,
  sharedKey,
  strangeAuthority,
  userAuthority,
  userCertificate,
} from './ssh-workbench.ts';

export const user = (): KeyObject => sharedKey('ed25519', 'user');
const sha1 = (key: KeyObject, label: string, data: Buffer): Buffer =>
  Buffer.concat([str(label), str(signRaw('sha1', data, key))]);
const altered = (blob: Buffer, at: number): Buffer => {
  const copy = Buffer.from(blob);
  const index = at < 0 ? copy.length + at : at;
  copy.writeUInt8(copy.readUInt8(index) ^ 1, index);
  return copy;
};

/** Shows a certificate over `key` and signs honestly, unless told otherwise. */
export function showing(
  blob: Buffer,
  wish: Partial<Shown> = {},
  key = user(),
  signature: SigAlg = 'ssh-ed25519',
): Shown {
  return {
    algorithm: `${signature}-cert-v01@openssh.com`,
    blob,
    plainBlob: blobOf(key),
    sign: (data) => signSsh(key, signature, data),
    ...wish,
  };
}

export const rsa = (): KeyObject => sharedKey('rsa', 'user');
export const rsaCertificate = (): Buffer => userCertificate(rsa());

/** The certificate with its list of principals emptied, signed again: our own issuer would not. */
function withoutPrincipals(): Buffer {
  const full = userCertificate(user(), { principals: ['root'] });
  const c = parseCertificate(full);
  const list = Buffer.concat([str(str('root'))]);
  const at = full.indexOf(list);
  const signed = Buffer.concat([c.signed.subarray(0, at), str(''), c.signed.subarray(at + list.length)]);
  return Buffer.concat([signed, str(signSsh(userAuthority('ed25519'), 'ssh-ed25519', signed))]);
}

/** Signed by a key that shows itself as a certificate: chains do not exist. */
function chained(): Buffer {
  const middle = makeKey('ed25519');
  const full = issueCertificate({
    key: publicKeyOf(user()),
    ca: middle,
    kind: 'user',
    keyId: 'alice',
    principals: ['root'],
    validAfter: now() - 60n,
    validBefore: now() + 60n,
  });
  const c = parseCertificate(full);
  const plain = str(blobOf(middle));
  const at = full.indexOf(plain);
  const signed = Buffer.concat([c.signed.subarray(0, at), str(userCertificate(middle))]);
  return Buffer.concat([signed, str(signSsh(middle, 'ssh-ed25519', signed))]);
}

export interface BadLogin {
  readonly shown: Shown;
  readonly reason: RegExp;
  readonly username?: string;
}

/** What no server may take, each with the reason the audit must hear. */
export const badLogins: Readonly<Record<string, () => BadLogin>> = {
  'one that has expired': () => ({
    shown: showing(userCertificate(user(), { validAfter: 1n, validBefore: now() - 61n })),
    reason: /^expired/,
  }),
  'one that is not valid yet': () => ({
    shown: showing(userCertificate(user(), { validAfter: now() + 90n })),
    reason: /^not-yet-valid/,
  }),
  'one for another name': () => ({
    shown: showing(userCertificate(user(), { principals: ['alice', 'bob'] })),
    reason: /^principal/,
  }),
  'one without principals': () => ({ shown: showing(withoutPrincipals()), reason: /principal/ }),
  'one without a key id': () => ({
    shown: showing(userCertificate(user(), { keyId: '' })),
    reason: /key id/,
  }),
  'one by an authority of another cluster': () => ({
    shown: showing(userCertificate(user(), { ca: strangeAuthority() })),
    reason: /^unknown-ca/,
  }),
  'one by our host authority': () => ({
    shown: showing(userCertificate(user(), { ca: hostAuthority('ed25519') })),
    reason: /^unknown-ca/,
  }),
  'one by a certified key that is no authority': () => ({
    shown: showing(chained()),
    reason: /malformed certificate/,
  }),
  'one of a host': () => ({
    shown: showing(hostCertificate(user(), { ca: userAuthority('ed25519'), principals: ['root'] })),
    reason: /^wrong-kind/,
  }),
  'one with an unknown critical option': () => ({
    shown: showing(userCertificate(user(), { criticalOptions: { 'frobnicate@example.com': 'x' } })),
    reason: /^critical-option/,
  }),
  'one for another address': () => ({
    shown: showing(userCertificate(user(), { criticalOptions: { 'source-address': '10.0.0.0/8' } })),
    reason: /^source-address/,
  }),
  'one whose source-address is nonsense': () => ({
    shown: showing(userCertificate(user(), { criticalOptions: { 'source-address': '127.0.0.1/33' } })),
    reason: /^source-address/,
  }),
  'one altered in its signature': () => ({
    shown: showing(altered(userCertificate(user()), -1)),
    reason: /^bad-signature: CA/,
  }),
  'one altered in its principal': () => {
    const good = userCertificate(user());
    return {
      shown: showing(altered(good, good.indexOf('root') + 3)),
      reason: /^bad-signature: CA/,
      username: 'roou',
    };
  },
  'one with bytes after its end': () => ({
    shown: showing(Buffer.concat([userCertificate(user()), Buffer.of(0)])),
    reason: /malformed certificate/,
  }),
  'one that is cut short': () => ({
    shown: showing(userCertificate(user()).subarray(0, -7)),
    reason: /malformed certificate/,
  }),
  'one without the private key': () => ({
    shown: showing(userCertificate(user()), {
      sign: (data) => signSsh(makeKey('ed25519'), 'ssh-ed25519', data),
    }),
    reason: /signature of the login/,
  }),
  'one with an altered signature of the login': () => ({
    shown: showing(userCertificate(user()), {
      sign: (data) => altered(signSsh(user(), 'ssh-ed25519', data), -1),
    }),
    reason: /signature of the login/,
  }),
  'one with the signature of another session': () => ({
    shown: showing(userCertificate(user()), {
      sign: (data) => signSsh(user(), 'ssh-ed25519', altered(data, 6)),
    }),
    reason: /signature of the login/,
  }),
  'RSA with a SHA-1 signature': () => ({
    shown: showing(rsaCertificate(), { sign: (d) => sha1(rsa(), 'ssh-rsa', d) }, rsa(), 'rsa-sha2-512'),
    reason: /signature of the login/,
  }),
  'RSA with a SHA-1 signature under the old name': () => ({
    shown: showing(
      rsaCertificate(),
      { algorithm: 'ssh-rsa-cert-v01@openssh.com', sign: (d) => sha1(rsa(), 'ssh-rsa', d) },
      rsa(),
    ),
    reason: /signature of the login/,
  }),
  'RSA with SHA-1 labelled as SHA-2': () => ({
    shown: showing(rsaCertificate(), { sign: (d) => sha1(rsa(), 'rsa-sha2-512', d) }, rsa(), 'rsa-sha2-512'),
    reason: /signature of the login/,
  }),
  'RSA with another hash than announced': () => ({
    shown: showing(
      rsaCertificate(),
      { sign: (d) => signSsh(rsa(), 'rsa-sha2-256', d) },
      rsa(),
      'rsa-sha2-512',
    ),
    reason: /signature of the login/,
  }),
  'one signed by its authority with SHA-1': () => {
    const ca = userAuthority('rsa');
    const certificate = userCertificate(user(), { ca, sign: (_alg, data) => sha1(ca, 'ssh-rsa', data) });
    return { shown: showing(certificate), reason: /^bad-signature: CA/ };
  },
  'an algorithm that is not of the key': () => ({
    shown: showing(userCertificate(user()), { algorithm: 'ecdsa-sha2-nistp256-cert-v01@openssh.com' }),
    reason: /does not fit/,
  }),
  'an algorithm that does not exist': () => ({
    shown: showing(userCertificate(user()), { algorithm: 'ssh-dss-cert-v01@openssh.com' }),
    reason: /algorithm refused/,
  }),
};

import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fingerprint,
  fromAuthorizedKeyLine,
  parsePublicKey,
  publicKeyOf,
  sigAlgsOf,
  signSsh,
  splitSignature,
  toAuthorizedKeyLine,
  verifySsh,
} from './ssh-key.ts';
import { blobOf, keyKinds, keyOf, rawCertificate } from './testing.ts';
import { mpint, str, WireError } from './wire.ts';

const data = Buffer.from('what is signed');

describe.each(keyKinds)('a key of type %s', (kind) => {
  const key = keyOf(kind);
  const pub = publicKeyOf(key);

  it('is read back from its blob, from its private and from its public half', () => {
    expect(parsePublicKey(pub.blob).key.equals(createPublicKey(key))).toBe(true);
    expect(publicKeyOf(createPublicKey(key)).blob).toEqual(pub.blob);
  });

  it('verifies its own signatures under each of its names, over these bytes only', () => {
    for (const alg of sigAlgsOf(pub.type)) {
      const signature = signSsh(key, alg, data);
      expect(splitSignature(signature).alg).toBe(alg);
      expect(verifySsh(pub, data, signature)).toBe(true);
      expect(verifySsh(pub, Buffer.from('what is not'), signature)).toBe(false);
      expect(verifySsh(pub, data, signature, [])).toBe(false);
    }
  });

  it('does not verify the signature of another key, nor one under a name that is not its own', () => {
    const alg = sigAlgsOf(pub.type)[0];
    expect(verifySsh(publicKeyOf(keyOf(kind, 'other')), data, signSsh(key, alg, data))).toBe(false);
    for (const other of keyKinds.filter((k) => k !== kind)) {
      const foreign = sigAlgsOf(publicKeyOf(keyOf(other)).type)[0];
      const relabelled = Buffer.concat([str(foreign), str(splitSignature(signSsh(key, alg, data)).value)]);
      expect(verifySsh(pub, data, relabelled, [foreign])).toBe(false);
      expect(() => signSsh(key, foreign, data)).toThrow(Error);
    }
  });

  it('answers false, never an error, to a signature that was altered or cut', () => {
    const good = signSsh(key, sigAlgsOf(pub.type)[0], data);
    for (let n = 0; n < good.length; n++) expect(verifySsh(pub, data, good.subarray(0, n))).toBe(false);
    fc.assert(
      fc.property(fc.nat(good.length * 8 - 1), (bit) => {
        const bad = Buffer.from(good);
        bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        expect(verifySsh(pub, data, bad)).toBe(false);
      }),
      { numRuns: 300 },
    );
    expect(verifySsh(pub, data, Buffer.concat([good, Buffer.of(0)]))).toBe(false);
  });

  it('throws WireError, nothing else, when its blob is altered or cut', () => {
    for (let n = 0; n < pub.blob.length; n++)
      expect(() => parsePublicKey(pub.blob.subarray(0, n))).toThrow(WireError);
    fc.assert(
      fc.property(fc.nat(pub.blob.length * 8 - 1), (bit) => {
        const bad = Buffer.from(pub.blob);
        bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        try {
          expect(parsePublicKey(bad).blob).toEqual(bad);
        } catch (e) {
          expect(e).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('SHA-1', () => {
  it('is refused in a signature by an RSA key, under its own and under a better name', () => {
    const key = keyOf('rsa');
    for (const label of ['ssh-rsa', 'rsa-sha2-256', 'rsa-sha2-512']) {
      const signature = Buffer.concat([str(label), str(sign('sha1', data, key))]);
      expect(verifySsh(publicKeyOf(key), data, signature)).toBe(false);
      expect(verifySsh(publicKeyOf(key), data, signature, ['ssh-rsa', label])).toBe(false);
    }
  });
});

describe('a signature', () => {
  it('is refused under the name of SHA-1, also when it is of SHA-256 and the caller allows the name', () => {
    const key = keyOf('rsa');
    const signature = Buffer.concat([str('ssh-rsa'), str(sign('sha256', data, key))]);
    expect(verifySsh(publicKeyOf(key), data, signature, ['ssh-rsa'])).toBe(false);
  });

  it('on a curve is refused with bytes after its two integers', () => {
    const key = keyOf('p256');
    const { alg, value } = splitSignature(signSsh(key, 'ecdsa-sha2-nistp256', data));
    const longer = Buffer.concat([str(alg), str(Buffer.concat([value, Buffer.of(0)]))]);
    expect(verifySsh(publicKeyOf(key), data, longer)).toBe(false);
  });
});

describe('reading a public key', () => {
  const n = Buffer.alloc(256, 0xcb);
  it.each([
    ['a certificate', () => rawCertificate()],
    ['DSA', () => str('ssh-dss')],
    ['RSA of 1024 bits', () => publicRsa(Buffer.of(1, 0, 1), Buffer.alloc(128, 0xcb))],
    ['RSA of 32768 bits', () => publicRsa(Buffer.of(1, 0, 1), Buffer.alloc(4096, 0xcb))],
    ['RSA with the exponent 1', () => publicRsa(Buffer.of(1), n)],
    ['RSA with an even exponent', () => publicRsa(Buffer.of(1, 0, 0), n)],
    ['a point that is not on its curve', () => pointOf(Buffer.alloc(64, 5))],
    ['RSA with an exponent of 9 bytes', () => publicRsa(Buffer.alloc(9, 0x11), n)],
    ['a point in the hybrid form', () => ecBlob(hybrid(blobOf('p256').subarray(-65)))],
    ['a compressed point', () => ecBlob(Buffer.concat([Buffer.of(2), Buffer.alloc(32, 5)]))],
    ['bytes after the key', () => Buffer.concat([blobOf('ed25519'), Buffer.of(0)])],
    ['nothing', () => Buffer.alloc(0)],
  ])('refuses %s', (_name, make) => {
    expect(() => parsePublicKey(make())).toThrow(WireError);
  });

  const publicRsa = (e: Buffer, modulus: Buffer): Buffer =>
    Buffer.concat([str('ssh-rsa'), mpint(e), mpint(modulus)]);
  const ecBlob = (point: Buffer): Buffer =>
    Buffer.concat([str('ecdsa-sha2-nistp256'), str('nistp256'), str(point)]);
  /** The form that holds the sign of y twice. Source: X9.62, section 4.3.6. */
  const hybrid = (point: Buffer): Buffer =>
    Buffer.concat([Buffer.of(6 + (point.readUInt8(64) & 1)), point.subarray(1)]);
  const pointOf = (xy: Buffer): Buffer => ecBlob(Buffer.concat([Buffer.of(4), xy]));
});

describe('a key that SSH does not have', () => {
  it.each([
    ['X25519', () => generateKeyPairSync('x25519').privateKey],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
  ])('is refused: %s', (_name, make) => {
    expect(() => publicKeyOf(make())).toThrow('SSH has no keys');
  });
});

describe('a line of authorized_keys', () => {
  it('is read back, with and without a comment', () => {
    for (const kind of keyKinds) {
      const blob = blobOf(kind);
      expect(fromAuthorizedKeyLine(toAuthorizedKeyLine(blob))).toEqual(blob);
      expect(fromAuthorizedKeyLine(`${toAuthorizedKeyLine(blob, 'joe at home')}\n`)).toEqual(blob);
    }
  });

  it.each([
    ['nothing', ''],
    ['another name than the blob', `ssh-rsa ${blobOf('ed25519').toString('base64')}`],
    ['options before the key', `restrict ${toAuthorizedKeyLine(blobOf('ed25519'))}`],
    ['a second line after a comment', `${toAuthorizedKeyLine(blobOf('ed25519'), 'joe')}\nmore`],
    ['bytes in between that base 64 skips', `${toAuthorizedKeyLine(blobOf('ed25519'))}!`],
    ['a second line', `${toAuthorizedKeyLine(blobOf('ed25519'))}\n${toAuthorizedKeyLine(blobOf('p256'))}`],
    ['a character that lenient readers skip', `${toAuthorizedKeyLine(blobOf('ed25519'))}*`],
    ['what is not base 64', `ssh-ed25519 ${blobOf('ed25519').toString('base64').replace('A', '*')}`],
  ])('is refused with %s', (_name, line) => {
    expect(() => fromAuthorizedKeyLine(line)).toThrow(WireError);
  });

  it('takes no comment that would make a second line', () => {
    expect(() => toAuthorizedKeyLine(blobOf('ed25519'), 'joe\nssh-rsa AAAA')).toThrow('one line');
  });
});

describe('a fingerprint', () => {
  it('is what ssh-keygen -l shows', () => {
    const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH';
    expect(fingerprint(fromAuthorizedKeyLine(line))).toBe(
      'SHA256:gNSIRW+2Iyiuvsdp/bgjy38bvWHw6wQm3tuoXrl3WjQ',
    );
  });
});

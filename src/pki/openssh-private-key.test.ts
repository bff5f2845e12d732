import { createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateEd25519, generateP256 } from './key-pair.ts';
import { decodeOpensshPrivateKey, encodeOpensshPrivateKey } from './openssh-private-key.ts';
import { publicKeyOf } from './ssh-key.ts';
import { str, u32, WireError } from './wire.ts';

const [begin, end] = ['-----BEGIN OPENSSH PRIVATE KEY-----', '-----END OPENSSH PRIVATE KEY-----'];
const bodyOf = (pem: string): Buffer => Buffer.from(pem.replace(begin, '').replace(end, ''), 'base64');
const pemOf = (body: Buffer): string => `${begin}\n${body.toString('base64')}\n${end}\n`;

/** How `ssh-keygen -N secret` begins. */
const withPassphrase = Buffer.concat([
  Buffer.from('openssh-key-v1\0'),
  ...['aes256-ctr', 'bcrypt', 'salt and rounds'].map((text) => str(text)),
]);

describe('a private key for ssh', () => {
  const key = generateEd25519();
  const pem = encodeOpensshPrivateKey(key, 'joe');

  it('is read back, whatever the length of its comment', () => {
    for (let n = 0; n < 9; n++)
      expect(decodeOpensshPrivateKey(encodeOpensshPrivateKey(key, 'c'.repeat(n))).equals(key)).toBe(true);
  });

  it('has lines of 70 characters at most', () => {
    expect(Math.max(...pem.split('\n').map((line) => line.length))).toBe(70);
  });

  it.each([
    ['a passphrase', pemOf(withPassphrase), 'passphrase'],
    ['another format', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', 'not an OpenSSH'],
    ['nothing', '', 'not an OpenSSH'],
    ['characters that are not base 64', pem.replace('A', '*'), 'not an OpenSSH'],
    ['a byte after its end', pemOf(Buffer.concat([bodyOf(pem), Buffer.of(0)])), 'trailing'],
  ])('is refused with %s', (_name, text, why) => {
    expect(() => decodeOpensshPrivateKey(text)).toThrow(WireError);
    expect(() => decodeOpensshPrivateKey(text)).toThrow(why);
  });

  it('is refused when cut anywhere', () => {
    const body = bodyOf(pem);
    for (let n = 0; n < body.length; n++)
      expect(() => decodeOpensshPrivateKey(pemOf(body.subarray(0, n)))).toThrow(WireError);
  });

  it('is refused when a bit flips, but in its comment', () => {
    const body = bodyOf(pem);
    const comment = body.indexOf('joe');
    fc.assert(
      fc.property(fc.nat(body.length * 8 - 1), (bit) => {
        const at = bit >> 3;
        if (at >= comment && at < comment + 3) return;
        const bad = Buffer.from(body);
        bad.writeUInt8(bad.readUInt8(at) ^ (1 << (bit & 7)), at);
        expect(() => decodeOpensshPrivateKey(pemOf(bad))).toThrow(WireError);
      }),
      { numRuns: 2000 },
    );
  });

  it('is not written of another type, nor of a public key', () => {
    for (const other of [generateP256(), createPublicKey(key)])
      expect(() => encodeOpensshPrivateKey(other, '')).toThrow('only private keys of type Ed25519');
  });
});

describe('a private key file that somebody else made up', () => {
  const key = generateEd25519();
  const { blob } = publicKeyOf(key);
  const seed = Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url');
  const other = publicKeyOf(generateEd25519()).blob;
  interface Parts {
    readonly kdfOptions: Buffer;
    readonly count: number;
    readonly outer: Buffer;
    readonly checks: readonly [number, number];
    readonly inner: Buffer;
    readonly secret: Buffer;
    readonly padding: Buffer;
  }
  /** A good file but for what `wish` says; without a comment, so that 5 bytes of padding fill the block. */
  function made(wish: Partial<Parts>): string {
    const raw = blob.subarray(-32);
    const parts: Parts = {
      ...{ kdfOptions: Buffer.alloc(0), count: 1, outer: blob, checks: [7, 7], inner: raw },
      ...{ secret: Buffer.concat([seed, raw]), padding: Buffer.of(1, 2, 3, 4, 5) },
      ...wish,
    };
    const [check1, check2] = parts.checks;
    const names = [str('ssh-ed25519'), str(parts.inner), str(parts.secret), str('')];
    const secretPart = Buffer.concat([u32(check1), u32(check2), ...names, parts.padding]);
    const head = [Buffer.from('openssh-key-v1\0'), str('none'), str('none'), str(parts.kdfOptions)];
    return pemOf(Buffer.concat([...head, u32(parts.count), str(parts.outer), str(secretPart)]));
  }

  it('is read when it is as ssh-keygen makes them', () => {
    expect(decodeOpensshPrivateKey(made({})).equals(key)).toBe(true);
  });

  it.each<[string, Partial<Parts>]>([
    ['options of a passphrase it does not have', { kdfOptions: Buffer.of(1) }],
    ['two keys', { count: 2 }],
    ['another public key outside', { outer: other }],
    ['another public key inside', { inner: other.subarray(-32) }],
    ['another public key beside the secret', { secret: Buffer.concat([seed, other.subarray(-32)]) }],
    ['check numbers that differ', { checks: [7, 8] }],
    ['a secret that is too short', { secret: seed.subarray(0, 20) }],
    ['a secret without its public half', { secret: seed }],
    ['padding of more than a block', { padding: Buffer.from(Array.from({ length: 13 }, (_, i) => i + 1)) }],
    ['padding that does not count up', { padding: Buffer.of(1, 2, 3, 4, 4) }],
  ])('is refused with %s', (_name, wish) => {
    expect(() => decodeOpensshPrivateKey(made(wish))).toThrow(WireError);
  });
});

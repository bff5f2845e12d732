import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkHead,
  headOf,
  headSigned,
  type LogHead,
  parseLogKey,
  publicHalf,
  signHead,
} from './signed-head.ts';

/** RFC 8410 form of the seed 00 01 02 … 1f. */
const privateKey = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(Array.from({ length: 32 }, (_, i) => i)),
  ]),
  format: 'der',
  type: 'pkcs8',
});
const key = publicHalf(privateKey);
const head: LogHead = {
  partition: 'state',
  slot: 7,
  position: 12,
  hash: 'ab'.repeat(32),
  at: '2026-01-01T00:00:00.000Z',
};
const signed = signHead(head, key, privateKey);

describe('signing a head', () => {
  it('makes what it has always made', () => {
    expect(key).toEqual({
      keyId: '56475aa75463474c',
      publicKey: 'ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=',
    });
    expect(signed).toEqual({
      version: 1,
      ...head,
      keyId: '56475aa75463474c',
      signature: 'SSwnw9mKOZfavpH21igT+Z0OytyE9JofMUZligaUgHAoT2X2jeQ4OM2prRVWRaEd47OVO0l6BUujPXwBXxwlCg==',
    });
    expect(checkHead(signed, [key])).toBe('good');
  });

  it('makes a fact that reads back', () => {
    const event = {
      id: '',
      stream: 'heads-state',
      revision: 1,
      position: 13,
      cause: { at: head.at, actor: '', requestId: '' },
    } as const;
    expect(headOf({ ...event, fact: headSigned(signed) })).toEqual(signed);
    const later = { type: 'log.head_signed', data: { ...signed, version: 2 } };
    expect(() => headOf({ ...event, fact: later })).toThrow(/position 13 of heads-state/);
  });
});

describe('checking a head', () => {
  it('refuses one of which anything was changed', () => {
    const changes: Partial<typeof signed>[] = [
      { partition: 'audit' },
      { slot: 8 },
      { position: 13 },
      { hash: 'ac'.repeat(32) },
      { at: '2026-01-01T00:00:00.001Z' },
    ];
    for (const change of changes) expect(checkHead({ ...signed, ...change }, [key])).toBe('bad signature');
  });

  it('refuses every signature with a changed bit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 511 }), (bit) => {
        const bytes = Buffer.from(signed.signature, 'base64');
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(checkHead({ ...signed, signature: bytes.toString('base64') }, [key])).toBe('bad signature');
      }),
    );
  });

  it('says so when it does not know the key', () => {
    expect(checkHead(signed, [])).toBe('unknown key');
    const other = parseLogKey(`ed25519:${Buffer.alloc(32, 7).toString('base64')}`);
    expect(checkHead(signed, [other])).toBe('unknown key');
    expect(checkHead(signed, [{ ...other, keyId: key.keyId }])).not.toBe('good');
  });
});

describe('reading a public key', () => {
  it('takes what was printed, and nothing else', () => {
    expect(parseLogKey(` ${key.publicKey}\n`)).toEqual(key);
    for (const text of [
      '',
      'ed25519:',
      key.publicKey.slice(8),
      `${key.publicKey}=`,
      key.publicKey.slice(0, -2),
    ])
      expect(() => parseLogKey(text)).toThrow(/not a public key/);
  });
});

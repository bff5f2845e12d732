import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newBoxKeys, openBox, sealBox } from './sealed-box.ts';

const keys = newBoxKeys();

describe('a sealed box', () => {
  it('opens for its key and its context, and is another one each time', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.string(), (secret, context) => {
        const box = sealBox(keys.publicKey, secret, context);
        expect([...openBox(keys, box, context)]).toEqual([...secret]);
        expect(sealBox(keys.publicKey, secret, context).equals(box)).toBe(false);
        expect(() => openBox(keys, box, `${context}x`)).toThrow(/does not open/);
      }),
    );
  });

  it('with any bit changed, cut short, or for another key does not open', () => {
    const box = sealBox(keys.publicKey, Buffer.from('the key'), 'a');
    for (let bit = 0; bit < box.length * 8; bit++) {
      const changed = Buffer.from(box);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // X25519 ignores the highest bit of a public key; the derivation does not.
      expect(() => openBox(keys, changed, 'a')).toThrow(/does not open/);
    }
    for (let length = 0; length < box.length; length++)
      expect(() => openBox(keys, box.subarray(0, length), 'a')).toThrow(/does not open/);
    expect(() => openBox(newBoxKeys(), box, 'a')).toThrow(/does not open/);
  });

  it('is sealed for no key that is none', () => {
    expect(() => sealBox(Buffer.alloc(31), Buffer.from('x'), 'a')).toThrow(/no public key/);
    // A point of small order: everybody would know what is shared.
    expect(() => sealBox(Buffer.alloc(32), Buffer.from('x'), 'a')).toThrow(/no public key/);
  });
});

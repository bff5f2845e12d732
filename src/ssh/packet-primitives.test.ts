import { describe, expect, it } from 'vitest';
import { nodePrimitives } from './node-primitives.ts';
import { loadOpenssl } from './openssl-primitives.ts';
import type { PacketPrimitives } from './packet-primitives.ts';

const openssl = loadOpenssl();
const all: readonly PacketPrimitives[] = [
  nodePrimitives,
  ...(openssl.status === 'loaded' ? [openssl.primitives] : []),
];

describe.each(all)('what packet ciphers are made of, by $name,', (primitives) => {
  const key = Buffer.alloc(16, 1);
  const iv = Buffer.alloc(12, 2);
  const block = Buffer.alloc(16, 3);
  const none = Buffer.alloc(0);

  it('opens what it sealed, and nothing that was changed', () => {
    const [seal, open] = [
      primitives.aead('aes-128-gcm', key, 'seal'),
      primitives.aead('aes-128-gcm', key, 'open'),
    ];
    const [body, tag] = [Buffer.from('sixteen bytes!!!'), Buffer.alloc(16)];
    const length = Buffer.from('len');
    seal.seal(iv, length, body, tag);
    expect(body.toString()).not.toBe('sixteen bytes!!!');
    for (const bad of [Buffer.from('nel'), none])
      expect(open.open(iv, bad, Buffer.from(body), tag)).toBe(false);
    for (const changed of [0, 15]) {
      const other = Buffer.from(tag);
      other.writeUInt8(other.readUInt8(changed) ^ 1, changed);
      expect(open.open(iv, length, Buffer.from(body), other)).toBe(false);
    }
    expect(open.open(iv, length, body, tag)).toBe(true);
    expect(body.toString()).toBe('sixteen bytes!!!');
  });

  it('goes on with a key stream, or begins it where it is told', () => {
    const stream = primitives.keyStream('aes-128-ctr', key, block);
    const [first, second, again] = [Buffer.alloc(16), Buffer.alloc(16), Buffer.alloc(32)];
    stream.apply(first);
    stream.apply(second);
    stream.apply(again, block);
    expect(first).not.toEqual(second);
    expect(again).toEqual(Buffer.concat([first, second]));
  });

  it('keeps no key that was given up: nothing is done with it any more', () => {
    const uses: readonly (readonly [{ free: () => void }, () => void])[] = [
      (() => {
        const one = primitives.aead('aes-128-gcm', key, 'seal');
        return [
          one,
          () => {
            one.seal(iv, none, Buffer.alloc(16), Buffer.alloc(16));
          },
        ] as const;
      })(),
      (() => {
        const one = primitives.aead('aes-128-gcm', key, 'open');
        return [
          one,
          () => {
            one.open(iv, none, Buffer.alloc(16), Buffer.alloc(16));
          },
        ] as const;
      })(),
      (() => {
        const one = primitives.keyStream('aes-128-ctr', key, block);
        return [
          one,
          () => {
            one.apply(Buffer.alloc(16));
          },
        ] as const;
      })(),
      (() => {
        const one = primitives.keyStream('aes-128-ctr', key, block);
        return [
          one,
          () => {
            one.apply(Buffer.alloc(16), block);
          },
        ] as const;
      })(),
      (() => {
        const one = primitives.hmac('sha256', key);
        return [
          one,
          () => {
            one.digest(none, block, Buffer.alloc(32));
          },
        ] as const;
      })(),
    ];
    for (const [one, use] of uses) {
      use();
      one.free();
      expect(use).toThrow();
      one.free(); // again: nothing
    }
  });
});

import { createCipheriv, createDecipheriv, createHmac, type CipherGCMTypes } from 'node:crypto';
import type { Aead, KeyStream, Mac, PacketPrimitives } from './packet-primitives.ts';
import { poly1305 } from './poly1305.ts';

const TAG = { authTagLength: 16 };
const freed = (): never => {
  throw new Error('a cipher was used after it was freed');
};

/**
 * Node has no way to give a cipher a new nonce: each packet costs a cipher of its own, some 50 microseconds.
 */
function aead(cipher: string, key: Buffer): Aead {
  const name = cipher as CipherGCMTypes;
  let held: Buffer | undefined = key;
  return {
    seal(iv, associated, body, tag) {
      const one = createCipheriv(name, held ?? freed(), iv, TAG).setAAD(associated);
      body.set(one.update(body));
      one.final();
      tag.set(one.getAuthTag());
    },
    open(iv, associated, body, tag) {
      const one = createDecipheriv(name, held ?? freed(), iv, TAG)
        .setAAD(associated)
        .setAuthTag(tag);
      body.set(one.update(body));
      try {
        one.final();
        return true;
      } catch {
        return false; // the tag; there is nothing else to go wrong in `final`
      }
    },
    free() {
      held = undefined;
    },
  };
}

function keyStream(cipher: string, key: Buffer, start: Buffer): KeyStream {
  let one: ReturnType<typeof createCipheriv> | undefined = createCipheriv(cipher, key, start);
  return {
    apply(data, from) {
      if (one === undefined) freed();
      if (from !== undefined) one = createCipheriv(cipher, key, from);
      data.set(one?.update(data) ?? freed());
    },
    free() {
      one = undefined;
    },
  };
}

function hmac(hash: string, key: Buffer): Mac {
  let held: Buffer | undefined = key;
  return {
    digest(first, data, out) {
      out.set(
        createHmac(hash, held ?? freed())
          .update(first)
          .update(data)
          .digest(),
      );
    },
    free() {
      held = undefined;
    },
  };
}

/** Packet ciphers by what Node offers: for where OpenSSL cannot be called (see openssl-primitives.ts). */
export const nodePrimitives: PacketPrimitives = { name: 'node:crypto', aead, keyStream, hmac, poly1305 };

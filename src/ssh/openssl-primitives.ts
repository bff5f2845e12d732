import { createRequire } from 'node:module';
import type koffiModule from 'koffi';
import { messageOf } from '../base/errors.ts';
import type { Aead, KeyStream, Mac, PacketPrimitives } from './packet-primitives.ts';

type Koffi = typeof koffiModule;
/** An address, in koffi's form. */
type Pointer = object | bigint;

/** Source: OpenSSL 3, evp.h. */
const GET_TAG = 0x10;
const SET_TAG = 0x11;
const TAG_BYTES = 16;

export type OpensslLoad =
  | { readonly status: 'loaded'; readonly primitives: PacketPrimitives; liveContexts(): number }
  /** Node's own interface is used; `reason` is one line. */
  | { readonly status: 'unavailable'; readonly reason: string };

let known: OpensslLoad | undefined;

/**
 * The OpenSSL inside the running Node binary, called by koffi. Loaded once, when first asked. Never throws.
 */
export const loadOpenssl = (): OpensslLoad =>
  (known ??= bindOpenssl(() => createRequire(import.meta.url)('koffi') as Koffi));

/** The same with another koffi, or none. Never throws. */
export function bindOpenssl(koffiOf: () => Koffi): OpensslLoad {
  try {
    return bound(koffiOf());
  } catch (e) {
    return { status: 'unavailable', reason: messageOf(e).split('\n')[0] ?? '' };
  }
}

function bound(koffi: Koffi): OpensslLoad {
  const lib = koffi.load(null);
  const call = (definition: string): ((...args: unknown[]) => unknown) => lib.func(definition);
  const pointer = (definition: string): ((...args: unknown[]) => Pointer | null) =>
    call(definition) as (...args: unknown[]) => Pointer | null;
  /**
   * Calls that return 1 on success. Arguments are passed one by one: a rest array costs as much as a call.
   */
  const checked = (definition: string): ((...args: unknown[]) => void) => {
    const one = call(definition);
    const done = (answer: unknown): void => {
      if (answer !== 1) throw new Error(`${/(\w+)\(/.exec(definition)?.[1]} of OpenSSL failed`);
    };
    switch (definition.split(',').length) {
      case 3:
        return (a, b, c) => {
          done(one(a, b, c));
        };
      case 4:
        return (a, b, c, d) => {
          done(one(a, b, c, d));
        };
      case 5:
        return (a, b, c, d, e) => {
          done(one(a, b, c, d, e));
        };
      default:
        throw new Error(`${definition} has another number of arguments`);
    }
  };
  const newCipher = pointer('void* EVP_CIPHER_CTX_new()');
  const freeCipher = call('void EVP_CIPHER_CTX_free(void*)');
  const cipherInit = call('int EVP_CipherInit_ex(void*, void*, void*, const uint8_t*, const uint8_t*, int)');
  /** Without an engine: null values stay as they were. */
  const init = (
    c: Pointer,
    cipher: Pointer | null,
    key: Buffer | null,
    start: Buffer | null,
    way: 0 | 1,
  ): void => {
    if (cipherInit(c, cipher, null, key, start, way) !== 1)
      throw new Error('EVP_CipherInit_ex of OpenSSL failed');
  };
  const update = checked('int EVP_CipherUpdate(void*, uint8_t*, int*, const uint8_t*, int)');
  const final = call('int EVP_CipherFinal_ex(void*, uint8_t*, int*)');
  const control = checked('int EVP_CIPHER_CTX_ctrl(void*, int, int, uint8_t*)');
  const newHmac = pointer('void* HMAC_CTX_new()');
  const freeHmac = call('void HMAC_CTX_free(void*)');
  const hmacInit = checked('int HMAC_Init_ex(void*, const uint8_t*, int, void*, void*)');
  const hmacUpdate = checked('int HMAC_Update(void*, const uint8_t*, size_t)');
  const hmacFinal = checked('int HMAC_Final(void*, uint8_t*, int*)');
  const fetchMac = pointer('void* EVP_MAC_fetch(void*, const char*, const char*)');
  const newMac = pointer('void* EVP_MAC_CTX_new(void*)');
  const macInit = checked('int EVP_MAC_init(void*, const uint8_t*, size_t, void*)');
  const macUpdate = checked('int EVP_MAC_update(void*, const uint8_t*, size_t)');
  const macFinal = checked('int EVP_MAC_final(void*, uint8_t*, size_t*, size_t)');

  const there = (address: Pointer | null, what: string): Pointer => {
    if (address === null) throw new Error(`OpenSSL has no ${what}`);
    return address;
  };
  // Of the library: never freed.
  const kinds = new Map(
    [
      'aes_128_gcm',
      'aes_256_gcm',
      'aes_128_ctr',
      'aes_192_ctr',
      'aes_256_ctr',
      'chacha20',
      'sha256',
      'sha512',
    ].map((name) => [name.replaceAll('_', '-'), there(pointer(`void* EVP_${name}()`)(), name)]),
  );
  const kind = (name: string): Pointer => there(kinds.get(name) ?? null, name);
  const poly = there(newMac(there(fetchMac(null, 'POLY1305', null), 'POLY1305')), 'POLY1305');

  /** The number of bytes written, which is not needed: everything here works on whole messages. */
  const written = new Int32Array(1);
  const writtenLong = new BigUint64Array(1);
  let live = 0;
  /** A context that is freed once, and refused after that. */
  const context = (
    address: Pointer | null,
    free: (address: Pointer) => unknown,
  ): { get: () => Pointer; free: () => void } => {
    let held: Pointer | undefined = there(address, 'memory');
    live += 1;
    return {
      get: () => {
        if (held === undefined) throw new Error('a cipher was used after it was freed');
        return held;
      },
      free: () => {
        if (held === undefined) return;
        free(held);
        held = undefined;
        live -= 1;
      },
    };
  };

  function aead(cipher: string, key: Buffer, direction: 'seal' | 'open'): Aead {
    const one = context(newCipher(), freeCipher);
    init(one.get(), kind(cipher), key, null, direction === 'seal' ? 1 : 0);
    return {
      seal(iv, associated, body, tag) {
        const c = one.get();
        init(c, null, null, iv, 1);
        update(c, null, written, associated, associated.length);
        update(c, body, written, body, body.length);
        if (final(c, tag, written) !== 1) throw new Error('EVP_CipherFinal_ex of OpenSSL failed');
        control(c, GET_TAG, TAG_BYTES, tag);
      },
      open(iv, associated, body, tag) {
        const c = one.get();
        init(c, null, null, iv, 0);
        control(c, SET_TAG, TAG_BYTES, tag);
        update(c, null, written, associated, associated.length);
        update(c, body, written, body, body.length);
        return final(c, tag, written) === 1;
      },
      free: one.free,
    };
  }

  function keyStream(cipher: string, key: Buffer, start: Buffer): KeyStream {
    const one = context(newCipher(), freeCipher);
    init(one.get(), kind(cipher), key, start, 1);
    return {
      apply(data, from) {
        const c = one.get();
        if (from !== undefined) init(c, null, null, from, 1);
        update(c, data, written, data, data.length);
      },
      free: one.free,
    };
  }

  function hmac(hash: string, key: Buffer): Mac {
    const one = context(newHmac(), freeHmac);
    hmacInit(one.get(), key, key.length, kind(hash), null);
    return {
      digest(first, data, out) {
        const c = one.get();
        hmacInit(c, null, 0, null, null);
        hmacUpdate(c, first, first.length);
        hmacUpdate(c, data, data.length);
        hmacFinal(c, out, written);
      },
      free: one.free,
    };
  }

  function poly1305(key: Buffer, message: Buffer, tag: Buffer): void {
    macInit(poly, key, key.length, null);
    macUpdate(poly, message, message.length);
    macFinal(poly, tag, writtenLong, TAG_BYTES);
  }

  return {
    status: 'loaded',
    primitives: { name: 'openssl', aead, keyStream, hmac, poly1305 },
    liveContexts: () => live,
  };
}

import type { Buffer } from 'node:buffer';

/** Authenticated encryption with associated data. */
export interface Aead {
  /** Encrypts `body` in place and writes 16 bytes to `tag`. */
  seal(iv: Buffer, associated: Buffer, body: Buffer, tag: Buffer): void;
  /** Decrypts `body` in place. False: `tag` is wrong, and `body` must be discarded. */
  open(iv: Buffer, associated: Buffer, body: Buffer, tag: Buffer): boolean;
  readonly free: () => void;
}

/** A key stream, XORed in place. */
export interface KeyStream {
  /** Continues where the last call ended; with `start` (16 bytes: counter and nonce) begins there instead. */
  apply(data: Buffer, start?: Buffer): void;
  readonly free: () => void;
}

export interface Mac {
  /** Of `first` and `data` together, as many bytes as the hash has, to the beginning of `out`. */
  digest(first: Buffer, data: Buffer, out: Buffer): void;
  readonly free: () => void;
}

/**
 * The building blocks of packet ciphers. Everything works in place and in one step; each object holds its key
 * until `free`, and throws when it is used after that.
 */
export interface PacketPrimitives {
  readonly name: 'openssl' | 'node:crypto';
  /** `aes-128-gcm`, `aes-256-gcm`; one direction. */
  aead(cipher: string, key: Buffer, direction: 'seal' | 'open'): Aead;
  /** `aes-128-ctr`... with its first counter block, `chacha20` with whatever `apply` is told later. */
  keyStream(cipher: string, key: Buffer, start: Buffer): KeyStream;
  /** HMAC with `sha256` or `sha512`. */
  hmac(hash: string, key: Buffer): Mac;
  /** One message under one key, which may never be used again: 16 bytes to `tag`. Source: RFC 8439, 2.5. */
  poly1305(key: Buffer, message: Buffer, tag: Buffer): void;
}

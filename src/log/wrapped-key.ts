import { CodedError } from '../base/errors.ts';

/*
 * Forms of a wrapped data key. The first byte says which.
 *   1: 8 key id | 12 nonce | AES-256-GCM ciphertext | 16 tag under a key of a keyring 2: u16 length | name of
 *   the key, UTF-8 | what the key service made under a key that never leaves its service
 */
export const ringForm = 1;
const serviceForm = 2;
const idBytes = 8;

/**
 * The key under which a data key was wrapped: 16 hexadecimal digits of a keyring, or the name that a key
 * service gave.
 * @throws CodedError `damaged` for bytes that have neither form.
 */
export function wrappedUnder(wrapped: Uint8Array): string {
  const bytes = Buffer.from(wrapped);
  if (bytes[0] === ringForm && bytes.length > 1 + idBytes) return bytes.toString('hex', 1, 1 + idBytes);
  return splitService(bytes).keyName;
}

/** The second form. `keyName` has at most 2048 bytes. */
export function joinService(keyName: string, ciphertext: Uint8Array): Uint8Array {
  const name = Buffer.from(keyName);
  const head = Buffer.alloc(3);
  head[0] = serviceForm;
  head.writeUInt16BE(name.length, 1);
  return Buffer.concat([head, name, ciphertext]);
}

/** @throws CodedError `damaged` for bytes that do not have the second form. */
export function splitService(wrapped: Uint8Array): { keyName: string; ciphertext: Uint8Array } {
  const bytes = Buffer.from(wrapped);
  const length = bytes[0] === serviceForm && bytes.length >= 3 ? bytes.readUInt16BE(1) : 0;
  if (length === 0 || length > 2048 || bytes.length <= 3 + length)
    throw new CodedError('damaged', 'a data key in the vault has a form that is not known');
  return { keyName: bytes.toString('utf8', 3, 3 + length), ciphertext: bytes.subarray(3 + length) };
}

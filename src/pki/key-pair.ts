import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CodedError } from '../base/errors.ts';

/** A new private key; its public half is derived from it. */
export const generateEd25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

/** A new private key on P-256. */
export const generateP256 = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** PKCS #8, PEM. */
export const privateKeyPem = (key: KeyObject): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();

/**
 * A private key from PEM, without a passphrase.
 * @throws CodedError `damaged` when the text is not one. The message never quotes the text.
 */
export function privateKeyFromPem(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new CodedError('damaged', 'not a private key in PEM', { cause });
  }
}

import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';

/** A new private key; its public half follows from it. */
export const generateEd25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

/** A new private key on P-256. */
export const generateP256 = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** PKCS #8, PEM. */
export const privateKeyPem = (key: KeyObject): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();

/** @throws Error when the text is not a private key. */
export const privateKeyFromPem = (pem: string): KeyObject => createPrivateKey(pem);

import { createHash } from 'node:crypto';

/** 16 random bytes as 32 hexadecimal digits. */
export const newToken = (randomBytes: (n: number) => Uint8Array): string =>
  Buffer.from(randomBytes(16)).toString('hex');

/**
 * What is stored instead of a token: hexadecimal SHA-256. The token itself is random, so no salt is needed.
 */
export const tokenHash = (token: string): string => createHash('sha256').update(token).digest('hex');

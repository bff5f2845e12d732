import { randomBytes as nodeRandomBytes, randomUUID } from 'node:crypto';
import type { Instant } from './time.ts';

/** The only source of time and randomness. Tests pass a fake one. */
export interface World {
  now(): Instant;
  randomBytes(n: number): Uint8Array;
  /** Random UUID, version 4. */
  uuid(): string;
}

/** The machine's own clock and random source. */
export const realWorld: World = {
  now: () => new Date().toISOString(),
  randomBytes: (n) => nodeRandomBytes(n),
  uuid: () => randomUUID(),
};

import { hashBytes } from '../../src/log/own-hash.ts';
import type { Place } from '../../src/log/slot-driver.ts';

/**
 * The content of a head key. `hash` is missing where a process of the previous release wrote it: then the
 * number is a hint.
 */
export interface Head {
  readonly slot: number;
  readonly hash: Uint8Array | undefined;
}

/** `<slot> <own hash of the batch in it, hex>` */
export const headValue = ({ slot, hash }: Place): string => `${slot} ${Buffer.from(hash).toString('hex')}`;

/** Undefined for a value in neither form. */
export function parseHead(value: Uint8Array): Head | undefined {
  const [, slot, hash] = /^(\d+)(?: ([0-9a-f]+))?$/.exec(Buffer.from(value).toString('latin1')) ?? [];
  if (slot === undefined || (hash !== undefined && hash.length !== 2 * hashBytes)) return undefined;
  return { slot: Number(slot), hash: hash === undefined ? undefined : Buffer.from(hash, 'hex') };
}

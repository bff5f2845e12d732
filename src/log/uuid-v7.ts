import { type Instant, plusMs } from '../base/time.ts';
import type { World } from '../base/world.ts';

/** Many are made in the same instant. */
let last = { at: '', digits: '' };

/** A UUID that sorts by time; its random bits are those of a version 4. Source: RFC 9562, section 5.7. */
export function uuidV7(world: Pick<World, 'now' | 'uuid'>): string {
  const at = world.now();
  if (at !== last.at) {
    const time = Date.parse(at).toString(16).padStart(12, '0');
    last = { at, digits: `${time.slice(0, 8)}-${time.slice(8)}-7` };
  }
  return last.digits + world.uuid().slice(15);
}

/**
 * When it was made, by the clock of its maker; undefined for a text that is not such a UUID, or has no valid
 * time.
 */
export function momentOfUuidV7(id: string): Instant | undefined {
  const ms = isUuidV7(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : 0;
  return ms === 0 ? undefined : plusMs('1970-01-01T00:00:00.000Z', ms);
}

/** Sixteen bytes as the usual text. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export const uuidBytes = (text: string): Buffer => Buffer.from(text.replaceAll('-', ''), 'hex');

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const isUuidV7 = (text: unknown): text is string => typeof text === 'string' && shape.test(text);

import type { World } from '../base/world.ts';

/** A UUID that sorts by time. Source: RFC 9562, section 5.7. */
export function uuidV7(world: Pick<World, 'now' | 'randomBytes'>): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(Date.parse(world.now()), 0, 6);
  bytes.set(world.randomBytes(10), 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return uuidText(bytes);
}

/** Sixteen bytes as the usual text. */
export function uuidText(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export const uuidBytes = (text: string): Buffer => Buffer.from(text.replaceAll('-', ''), 'hex');

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
export const isUuidV7 = (text: unknown): text is string => typeof text === 'string' && shape.test(text);

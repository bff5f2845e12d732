/** FNV-1a over UTF-16 units, 32 bits without a sign: spreads names and UUIDs well; it keeps no secret. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return (hash ^ (hash >>> 15)) >>> 0;
}

/**
 * In [0, 1): when, in a time over which many do something, `who` has its turn. Of another `round` it is
 * another turn, so that those who met in one do not meet in the next.
 */
export const slotOf = (who: string, round = 0): number => mixed(hashOf(`${round} ${who}`)) / 2 ** 32;

/**
 * Names that differ in their last letter have hashes that differ little in their first bits; these do not.
 * Source: MurmurHash3, its 32-bit finalizer (public domain).
 */
function mixed(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  const whole = Math.imul(half ^ (half >>> 13), 0xc2b2ae35);
  return (whole ^ (whole >>> 16)) >>> 0;
}

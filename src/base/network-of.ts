import { isIP } from 'node:net';

/** IPv4 that is written as IPv6 is IPv4; a zone is no part of an address. Source: RFC 4291, 2.5.5.2. */
export function plainAddress(address: string): string {
  const plain = address.replace(/%.*$/, '');
  const groups = ipv6Groups(plain) ?? [];
  const [high = 0, low = 0] = groups.slice(6);
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  return isMapped ? [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.') : plain;
}

/**
 * The eight groups of an IPv6 address, as numbers; undefined for anything else. The last two may be written
 * as IPv4. Source: RFC 4291, 2.2.
 */
export function ipv6Groups(address: string): readonly number[] | undefined {
  const plain = address.replace(/%.*$/, '');
  if (isIP(plain) !== 6) return undefined;
  const hex = plain.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_all, a: string, b: string, c: string, d: string) =>
      [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((n) => n.toString(16)).join(':'),
  );
  const [head = '', tail] = hex.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [left, right] = [groups(head), tail === undefined ? [] : groups(tail)];
  const middle = Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0);
  return [...left, ...middle, ...right];
}

/**
 * By what an address is counted: by itself for IPv4; by its /64 for IPv6, of which one customer has all.
 * Source: RFC 6177, 2. Any other text is counted as it is.
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  const groups = ipv6Groups(plain);
  if (groups === undefined) return plain;
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

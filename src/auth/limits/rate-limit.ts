import { isIPv6 } from 'node:net';
import { networkOf } from '../../base/network-of.ts';

/** A maximum per second from one address, with a burst of the same size. */
export interface RateLimit {
  /**
   * False: too many, and the caller is counted as turned away. `now` is in milliseconds of a monotonic clock.
   */
  admit(address: string, now: number): boolean;
}

/**
 * How many addresses are remembered; the one that was quiet longest is forgotten first (its bucket was
 * fullest).
 */
const maxAddresses = 10_000;

interface Bucket {
  tokens: number;
  at: number;
}

export function rateLimit(perSecond: number): RateLimit {
  const buckets = new Map<string, Bucket>();
  return {
    admit: (address, now) => {
      const key = sourceOf(address);
      const known = buckets.get(key) ?? { tokens: perSecond, at: now };
      const refilled = Math.min(perSecond, known.tokens + ((now - known.at) / 1000) * perSecond);
      const admitted = refilled >= 1;
      buckets.delete(key);
      buckets.set(key, { tokens: admitted ? refilled - 1 : refilled, at: now });
      if (buckets.size > maxAddresses)
        for (const oldest of buckets.keys()) {
          buckets.delete(oldest);
          break;
        }
      return admitted;
    },
  };
}

/**
 * The part of an address that one client cannot change at will: the IPv4 address, or the first half of an
 * IPv6 address. Takes `ip:port`, `[ip]:port` or a bare address.
 */
export function sourceOf(address: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1];
  const bare = bracketed ?? (isIPv6(address) ? address : address.replace(/:\d+$/, ''));
  return networkOf(bare);
}

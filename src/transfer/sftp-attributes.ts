import type { BigIntStats } from 'node:fs';
import { type Reader, u32, u64 } from '../pki/wire.ts';

/**
 * Attributes that a client sets, or a server reports. Absent: unchanged. Source:
 * draft-ietf-secsh-filexfer-02, 5.
 */
export interface Attributes {
  readonly size?: bigint;
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly permissions?: number;
  /** Seconds since 1970. */
  readonly times?: { readonly accessed: number; readonly modified: number };
}

const has = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x8000_0000 } as const;

export function readAttributes(r: Reader): Attributes {
  const flags = r.u32();
  const on = (bit: number): boolean => (flags & bit) !== 0;
  const attributes = {
    ...(on(has.size) && { size: r.u64() }),
    ...(on(has.owner) && { owner: { uid: r.u32(), gid: r.u32() } }),
    ...(on(has.permissions) && { permissions: r.u32() }),
    ...(on(has.times) && { times: { accessed: r.u32(), modified: r.u32() } }),
  };
  if (on(has.extended))
    for (let left = r.u32(); left > 0; left--) {
      r.bytes();
      r.bytes();
    }
  return attributes;
}

const seconds = (ms: bigint): number => Number(ms / 1000n) >>> 0;

export const attributesOf = (s: BigIntStats): Buffer =>
  Buffer.concat([
    u32(has.size | has.owner | has.permissions | has.times),
    u64(s.size),
    ...[s.uid, s.gid, s.mode].map((n) => u32(Number(n))),
    u32(seconds(s.atimeMs)),
    u32(seconds(s.mtimeMs)),
  ]);

const kinds: Readonly<Record<number, string>> = {
  0o010000: 'p',
  0o020000: 'c',
  0o040000: 'd',
  0o060000: 'b',
  0o100000: '-',
  0o120000: 'l',
  0o140000: 's',
};

/** The line of `ls -l` that clients show: with numeric ids, as clients that need names look them up. */
export function longName(name: string, s: BigIntStats): string {
  const mode = Number(s.mode);
  const bits = 'rwxrwxrwx'.replace(/./g, (letter, i: number) => ((mode >> (8 - i)) & 1 ? letter : '-'));
  const when = new Date(Number(s.mtimeMs)).toUTCString().slice(5, 22);
  return [
    `${kinds[mode & 0o170000] ?? '?'}${bits}`,
    String(s.nlink).padStart(4),
    String(s.uid).padEnd(8),
    String(s.gid).padEnd(8),
    String(s.size).padStart(8),
    when,
    name,
  ].join(' ');
}

import { readFile } from 'node:fs/promises';
import { endianness } from 'node:os';
import { isWildcard } from '../../base/addresses.ts';
import { ipv6Groups } from '../../base/network-of.ts';
import type { HostPort } from '../../base/service.ts';

/**
 * Whether the listener at that address, on this machine, was opened by the account that we run as, or by
 * root. False where the kernel lists nothing.
 * Source: proc(5), /proc/net/tcp.
 */
export async function isOwnListener(at: HostPort): Promise<boolean> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/net/${name}`, 'latin1').catch(() => '')), // no IPv6, or no /proc
  );
  const owners = tables.flatMap((table) => listenersIn(table, at));
  return owners.length > 0 && owners.every((uid) => uid === 0 || uid === process.getuid?.());
}

/** The accounts that listen at an address, on it or on a wildcard. */
export function listenersIn(table: string, { host, port }: HostPort): number[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const addresses = [host, '0.0.0.0', '::'].flatMap(kernelAddresses).map((one) => one + end);
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , uid = ''] = line.trim().split(/\s+/);
    return state === '0A' && addresses.includes(local) && /^\d+$/.test(uid) ? [Number(uid)] : [];
  });
}

/**
 * The forms in which the kernel may print an address: 32-bit words of this machine's byte order, in
 * hexadecimal.
 */
export function kernelAddresses(address: string): readonly string[] {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)?.slice(1).map(Number);
  if (v4 === undefined)
    return [words((ipv6Groups(address) ?? []).flatMap((group) => [group >> 8, group & 0xff]))];
  const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...v4];
  return isWildcard(address) ? [words(v4)] : [words(v4), words(mapped)];
}

function words(bytes: readonly number[]): string {
  const buffer = Buffer.from(bytes);
  if (endianness() === 'LE') buffer.swap32();
  return buffer.toString('hex').toUpperCase();
}

import { endianness, networkInterfaces } from 'node:os';
import { isIPv4 } from 'node:net';

/** Source: Linux uapi linux/socket.h; the same on every machine. */
export const AF_INET = 2;
export const AF_INET6 = 10;

/** An address as the kernel takes it. */
export interface SocketAddress {
  readonly family: typeof AF_INET | typeof AF_INET6;
  readonly bytes: Buffer;
}

/**
 * `struct sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)) of a numeric address. `fe80::1%eth0` names an
 * interface.
 * @throws Error for an unknown interface.
 */
export function socketAddress(address: string, port: number): SocketAddress {
  const family = isIPv4(address) ? AF_INET : AF_INET6;
  const bytes = Buffer.alloc(family === AF_INET ? 16 : 28);
  writeOwn(bytes, 16, family, 0);
  bytes.writeUInt16BE(port, 2);
  if (family === AF_INET) v4Bytes(address).copy(bytes, 4);
  else {
    const [plain = '', zone] = address.split('%');
    v6Bytes(plain).copy(bytes, 8);
    if (zone !== undefined) writeOwn(bytes, 32, zoneIndex(zone), 24);
  }
  return { family, bytes };
}

/** Numbers that are not addresses are in the byte order of this machine. */
function writeOwn(bytes: Buffer, bits: 16 | 32, value: number, at: number): void {
  if (endianness() === 'LE') bytes[bits === 16 ? 'writeUInt16LE' : 'writeUInt32LE'](value, at);
  else bytes[bits === 16 ? 'writeUInt16BE' : 'writeUInt32BE'](value, at);
}

const v4Bytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));

function v6Bytes(address: string): Buffer {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const text =
    dotted === null
      ? address
      : `${dotted[1] ?? ''}${v4Bytes(dotted[2] ?? '').toString('hex', 0, 2)}:${v4Bytes(dotted[2] ?? '').toString('hex', 2)}`;
  const [head = '', tail] = text.split('::');
  const groups = (part: string): readonly string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), tail === undefined ? [] : groups(tail)];
  const middle = Array<string>(8 - left.length - right.length).fill('0');
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function zoneIndex(zone: string): number {
  if (/^\d{1,9}$/.test(zone)) return Number(zone);
  const found = (networkInterfaces()[zone] ?? []).find(({ family }) => family === 'IPv6');
  if (found?.scopeid === undefined) throw new Error(`there is no interface ${zone} with IPv6`);
  return found.scopeid;
}

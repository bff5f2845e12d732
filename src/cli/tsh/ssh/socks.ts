import type { HostPort } from '../../../base/service.ts';

/** The result of a SOCKS5 client's bytes so far. `used` bytes are consumed. */
export type SocksStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'greeted'; readonly used: number; readonly reply: Buffer }
  | { readonly kind: 'connect'; readonly used: number; readonly target: HostPort }
  | { readonly kind: 'refused'; readonly reply: Buffer };

const version = 5;
const more: SocksStep = { kind: 'more' };

/** Reads the greeting: only "no authentication" is offered. Source: RFC 1928, 3. */
export function readGreeting(bytes: Buffer): SocksStep {
  if (bytes.length < 2) return more;
  const methods = bytes[1] ?? 0;
  if (bytes[0] !== version) return { kind: 'refused', reply: Buffer.alloc(0) };
  if (bytes.length < 2 + methods) return more;
  const used = 2 + methods;
  return bytes.subarray(2, used).includes(0)
    ? { kind: 'greeted', used, reply: Buffer.from([version, 0]) }
    : { kind: 'refused', reply: Buffer.from([version, 0xff]) };
}

const ipv4 = 1;
const domain = 3;
const ipv6 = 4;

/** Reads the request: only CONNECT. Source: RFC 1928, 4. */
export function readRequest(bytes: Buffer): SocksStep {
  if (bytes.length < 5) return more;
  if (bytes[0] !== version) return { kind: 'refused', reply: Buffer.alloc(0) };
  if (bytes[1] !== 1) return { kind: 'refused', reply: socksReply('unsupported_command') };
  const type = bytes[3];
  const start = type === domain ? 5 : 4;
  const length = type === domain ? (bytes[4] ?? 0) : type === ipv4 ? 4 : type === ipv6 ? 16 : -1;
  if (length <= 0) return { kind: 'refused', reply: socksReply('unsupported_address') };
  const end = start + length;
  if (bytes.length < end + 2) return more;
  const host = hostOf(type ?? 0, bytes.subarray(start, end));
  return { kind: 'connect', used: end + 2, target: { host, port: bytes.readUInt16BE(end) } };
}

function hostOf(type: number, address: Buffer): string {
  if (type === domain) return address.toString('latin1');
  if (type === ipv4) return [...address].join('.');
  return Array.from({ length: 8 }, (_, i) => address.readUInt16BE(i * 2).toString(16)).join(':');
}

const replies = { succeeded: 0, failed: 5, unsupported_command: 7, unsupported_address: 8 } as const;

/** Source: RFC 1928, 6. The bound address is not given. */
export const socksReply = (outcome: keyof typeof replies): Buffer =>
  Buffer.from([version, replies[outcome], 0, ipv4, 0, 0, 0, 0, 0, 0]);

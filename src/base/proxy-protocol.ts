import { isIP, SocketAddress } from 'node:net';
import { crc32c } from './crc32c.ts';
import { plainAddress } from './network-of.ts';
import type { HostPort } from './service.ts';

/*
 * The PROXY protocol, versions 1 (a line) and 2 (binary): what a balancer writes before the first byte of its
 * client, to name it. Anybody can write one: whom to believe is decided elsewhere. Pure.
 * Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */

/** Why a header is not accepted. */
export type HeaderFault = 'malformed' | 'too_long' | 'checksum' | 'unsupported';

export type HeaderReading =
  /** The stream begins with something else. */
  | { readonly status: 'absent' }
  /** It may still become one. */
  | { readonly status: 'incomplete' }
  /** `client` is undefined where the sender speaks for itself (a health check), or cannot name its client. */
  | { readonly status: 'found'; readonly client: HostPort | undefined; readonly bytes: number }
  | { readonly status: 'refused'; readonly fault: HeaderFault };

/** `PROXY TCP6 ` with the longest addresses and ports, and the line end. */
const longestLine = 107;
/** Room for the certificate of a client and other additions; a header could have 64 KiB. */
const longestBinary = 8 * 1024;

const lineStart = Buffer.from('PROXY ', 'latin1');
const binaryStart = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
/** Signature, version and command, family, length. */
const binaryHead = 16;

/**
 * Whether a stream that begins so begins with a header: `undefined` while too little of it is there to tell.
 */
export function beginsWithHeader(first: Buffer): boolean | undefined {
  const starts = [lineStart, binaryStart].filter((start) => {
    const known = Math.min(first.length, start.length);
    return first.subarray(0, known).equals(start.subarray(0, known));
  });
  if (starts.length === 0) return false;
  return starts.some((start) => first.length >= start.length) ? true : undefined;
}

/** Reads a header off the first bytes of a stream; what follows it is not looked at. */
export function readHeader(first: Buffer): HeaderReading {
  const begins = beginsWithHeader(first);
  if (begins === undefined) return { status: 'incomplete' };
  if (!begins) return { status: 'absent' };
  return first[0] === lineStart[0] ? readLine(first) : readBinary(first);
}

const refused = (fault: HeaderFault): Extract<HeaderReading, { status: 'refused' }> => ({
  status: 'refused',
  fault,
});

function readLine(first: Buffer): HeaderReading {
  const end = first.subarray(0, longestLine).indexOf('\r\n');
  if (end < 0) return first.length < longestLine ? { status: 'incomplete' } : refused('too_long');
  const text = first.toString('latin1', lineStart.length, end);
  const bytes = end + 2;
  // What may follow it is to be ignored.
  if (/^UNKNOWN(?: |$)/.test(text)) return { status: 'found', client: undefined, bytes };
  if (!/^TCP[46] /.test(text)) return refused('unsupported');
  const client = clientIn(text);
  return client === undefined ? refused('malformed') : { status: 'found', client, bytes };
}

const port = '(0|[1-9]\\d{0,4})';
const tcpLine = new RegExp(`^TCP([46]) ([^ ]+) ([^ ]+) ${port} ${port}$`);

function clientIn(text: string): HostPort | undefined {
  const [, digit, from = '', to = '', fromPort, toPort] = tcpLine.exec(text) ?? [];
  const family = Number(digit);
  const areAddresses = [from, to].every((ip) => isIP(ip) === family && !ip.includes('%'));
  const arePorts = [fromPort, toPort].every((one) => Number(one) <= 65535);
  if (!areAddresses || !arePorts) return undefined;
  return { host: family === 4 ? from : ipv6(from), port: Number(fromPort) };
}

interface Family {
  /** Bytes of an address. */
  readonly size: number;
  readonly ip: (bytes: Buffer) => string;
}
/** By family and transport, those that come over TCP. */
const families: ReadonlyMap<number, Family> = new Map([
  [0x11, { size: 4, ip: (bytes) => bytes.join('.') }],
  [0x21, { size: 16, ip: (bytes) => ipv6(groupsOf(bytes)) }],
]);
/** The sender cannot name its client. */
const unspecified = 0x00;
const commands = { local: 0x20, proxy: 0x21 };

function readBinary(first: Buffer): HeaderReading {
  if (first.length < binaryHead) return { status: 'incomplete' };
  const bytes = binaryHead + first.readUInt16BE(14);
  const named = familyIn(first);
  if (named.status === 'refused') return named;
  if (bytes > longestBinary) return refused('too_long');
  if (first.length < bytes) return { status: 'incomplete' };
  // Whatever else a header holds that names nobody is to be ignored.
  return named.status === 'nobody'
    ? { status: 'found', client: undefined, bytes }
    : readAddresses(first.subarray(0, bytes), named.family);
}

type Named =
  | { readonly status: 'nobody' }
  | { readonly status: 'client'; readonly family: Family }
  | Extract<HeaderReading, { status: 'refused' }>;

function familyIn(head: Buffer): Named {
  const [command = 0, code = 0] = head.subarray(binaryStart.length);
  if (command >> 4 !== 2) return refused('unsupported');
  if (command === commands.local) return { status: 'nobody' };
  if (command !== commands.proxy) return refused('malformed');
  if (code === unspecified) return { status: 'nobody' };
  const family = families.get(code);
  return family === undefined ? refused('unsupported') : { status: 'client', family };
}

function readAddresses(header: Buffer, { size, ip }: Family): HeaderReading {
  const portsAt = binaryHead + 2 * size;
  if (header.length < portsAt + 4) return refused('malformed');
  const fault = faultInAdditions(header, portsAt + 4);
  if (fault !== undefined) return refused(fault);
  const host = ip(header.subarray(binaryHead, binaryHead + size));
  return { status: 'found', client: { host, port: header.readUInt16BE(portsAt) }, bytes: header.length };
}

/** The type of the addition that holds a checksum of the whole header. */
const checksumType = 0x03;

/** Additions (TLV) are skipped. They have to fill the header, and a checksum has to be right. */
function faultInAdditions(header: Buffer, from: number): HeaderFault | undefined {
  let at = from;
  while (at < header.length) {
    if (at + 3 > header.length) return 'malformed';
    const length = header.readUInt16BE(at + 1);
    const value = at + 3;
    if (value + length > header.length) return 'malformed';
    if (header[at] === checksumType) {
      if (length !== 4) return 'malformed';
      if (header.readUInt32BE(value) !== checksumOf(header, value)) return 'checksum';
    }
    at = value + length;
  }
  return undefined;
}

/** The checksum's own bytes count as zero. */
function checksumOf(header: Buffer, at: number): number {
  const zeroed = Buffer.from(header);
  zeroed.fill(0, at, at + 4);
  return crc32c(zeroed);
}

const groupsOf = (bytes: Buffer): string =>
  Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');

/** In the form in which the kernel shows it; IPv4 within IPv6 is IPv4. */
const ipv6 = (address: string): string =>
  plainAddress(new SocketAddress({ address, family: 'ipv6' }).address);

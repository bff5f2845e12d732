import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { tagged, type Asn1 } from './x509-der.ts';

/** One label of a name; underscores are not DNS, but names of machines have them. */
const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const longestName = 253;

function isDnsName(name: string): boolean {
  const labels = name.replace(/^\*\./, '').split('.');
  return name.length <= longestName && labels.every((one) => label.test(one));
}

/**
 * True for a DNS name (a leading `*.` allowed) or an IP address without a zone: what can be an alternative
 * name.
 */
export const isAlternativeName = (name: string): boolean =>
  isIP(name) === 0 ? isDnsName(name) : !name.includes('%');

/**
 * A DNS name or IP address in the form of X.509. `isAlternativeName` must hold. Source: RFC 5280, section
 * 4.2.1.6.
 */
export function generalName(name: string): Asn1 {
  const family = isIP(name);
  if (family === 0) return tagged(2, Buffer.from(name, 'ascii'));
  return tagged(7, family === 4 ? ipv4(name) : ipv6(name));
}

const ipv4 = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));

/** URL writes every form of the address, even one that ends in dotted decimals, in words of 16 bits. */
function ipv6(address: string): Uint8Array {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = words(head);
  const right = words(tail ?? '');
  const zeros = Array<string>(8 - left.length - right.length).fill('0');
  const bytes = Buffer.alloc(16);
  for (const [i, word] of [...left, ...zeros, ...right].entries())
    bytes.writeUInt16BE(parseInt(word, 16), 2 * i);
  return bytes;
}

/**
 * The DNS names and IP addresses of a certificate. Node writes other kinds with other prefixes, and ambiguous
 * ones in quotes; neither is a name of ours.
 */
export function alternativeNamesOf({ subjectAltName }: Pick<X509Certificate, 'subjectAltName'>): string[] {
  const listed = subjectAltName?.split(', ') ?? [];
  return listed.flatMap((one) => {
    const name = /^(?:DNS|IP Address):([^"]+)$/.exec(one)?.[1];
    return name !== undefined && isAlternativeName(name) ? [name] : [];
  });
}

import { z } from 'zod';
import { isCleanText } from '../base/clean-text.ts';
import type { HostPort } from '../base/service.ts';
import { isClusterName } from './names.ts';

/*
 * What a machine may announce about itself, field by field. These texts end up in lines, files, shells and
 * terminals of other people, and none that matches its form here can break those. Nothing is repaired: text
 * that does not match is refused.
 */

/** RFC 1123, and underscores, which machine names contain in practice. */
const dnsLabel = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const longestName = 253;
/** One to four numbers: inet_aton(3), and with it ssh and browsers, take them for an IPv4 address. */
const numbers = /^(?:0x[0-9a-f]*|\d{1,10})(?:\.(?:0x[0-9a-f]*|\d{1,10})){0,3}$/i;

/** A DNS name, without a dot at its end: no wildcard, and nothing that some program takes for an address. */
export const isDnsName = (text: string): boolean =>
  text.length <= longestName && !numbers.test(text) && text.split('.').every((label) => dnsLabel.test(label));

const byte = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const ipv4 = new RegExp(`^${byte}(?:\\.${byte}){3}$`);

export const isIpv4 = (text: string): boolean => ipv4.test(text);

/** Without brackets and without a zone, which means something on one machine only. */
export const isIpv6 = (text: string): boolean =>
  /^[0-9A-Fa-f:.]{2,45}$/.test(text) && text.includes(':') && URL.canParse(`http://[${text}]`);

export const isIpAddress = (text: string): boolean => isIpv4(text) || isIpv6(text);

/** The host part of an address: a DNS name or an IP address without brackets. */
export const isHostPart = (text: string): boolean => isDnsName(text) || isIpAddress(text);

/**
 * One spelling of a host for comparing: names in small letters, IPv6 in its short form, IPv4 within IPv6 as
 * IPv4.
 */
export function canonicalHostPart(host: string): string {
  if (!isIpv6(host)) return host.toLowerCase();
  const short = new URL(`http://[${host}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  const [a, b] = [parseInt(high, 16), parseInt(low, 16)];
  return [a >> 8, a & 255, b >> 8, b & 255].join('.');
}

/** Whether the address means the machine itself, on every machine. */
export function isLoopback(host: string): boolean {
  const one = canonicalHostPart(host);
  return one === '::1' || one.startsWith('127.') || one === 'localhost' || one.endsWith('.localhost');
}

/** Whether it means every address of a machine: valid to listen on, never to dial. */
export const isUnspecified = (host: string): boolean => ['0.0.0.0', '::'].includes(canonicalHostPart(host));

/** `host:port` or `[v6]:port` with a port from 1 to 65535; undefined for any other text. */
export function parseHostAddress(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([1-9]\d{0,4})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain = '', digits] = match;
  const port = Number(digits);
  const fits = bracketed === undefined ? isDnsName(plain) || isIpv4(plain) : isIpv6(bracketed);
  return fits && port <= 65_535 ? { host: bracketed ?? plain, port } : undefined;
}

/** What a machine calls itself: a DNS name, or a number, as containers have it. */
export const hostName = z
  .string()
  .max(longestName)
  .refine(
    (text) => isDnsName(text) || /^\d{1,63}$/.test(text),
    'a name of letters, digits, dots, dashes and underscores, not an address',
  );

/** UUID in small letters. */
export const hostId = z
  .string()
  .regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'a UUID in small letters');

/** Used in certificates, host names and file names. */
export const clusterName = z
  .string()
  .refine(isClusterName, 'a cluster name has letters, digits, dots, dashes and underscores');

/** A DNS name or an IP address without brackets. */
export const hostPart = z
  .string()
  .max(longestName)
  .refine(isHostPart, 'a DNS name or an IP address (no wildcard, no zone)');

/** Of a host that others dial: `host:port`. */
export const hostAddress = z
  .string()
  .max(longestName + 8)
  .refine(
    (text) => parseHostAddress(text) !== undefined,
    'host:port, where host is a DNS name or an IP address (IPv6 in brackets) and port a number from 1 to 65535',
  );

/** The same, or empty for a host that announces none. */
export const optionalHostAddress = z.union([z.literal(''), hostAddress]);

/**
 * Roles name the same keys, see `check-role-spec.ts`. Names of JavaScript's own object properties are not
 * allowed.
 */
const labelKeyForm = /^[A-Za-z0-9_./:-]{1,128}$/;
export const isLabelKey = (text: string): boolean => labelKeyForm.test(text) && text !== '__proto__';

export const labelKey = z
  .string()
  .refine(isLabelKey, 'a label key has 1 to 128 letters, digits and any of _ . / : -');

export const longestLabelValue = 1024;
export const isLabelValue = (text: string): boolean => text.length <= longestLabelValue && isCleanText(text);

/** One line that every terminal shows as it is. */
export const labelValue = z
  .string()
  .refine(
    isLabelValue,
    `a label value has up to ${longestLabelValue} characters, without line breaks, control and invisible characters`,
  );

/**
 * The same as a host announces it: nodes of the previous release leave tabs in what a program printed
 * (`lsb_release -d`).
 */
export const toldLabelValue = z
  .string()
  .transform((text) => text.replaceAll('\t', ' '))
  .pipe(labelValue);

const versionForm = /^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/;
/** Of a program: `4.5.0-dev+3`. */
export const programVersion = z
  .string()
  .regex(versionForm, 'a version has up to 64 letters, digits and any of . + _ -');

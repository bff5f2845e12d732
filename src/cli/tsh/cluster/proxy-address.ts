import { isIP } from 'node:net';
import { CodedError } from '../../../base/errors.ts';
import { type HostPort, formatHostPort } from '../../../base/service.ts';
import { checkedHost } from '../login/home.ts';

export const defaultWebPort = 3080;
export const defaultSshPort = 3023;

/** The value of `--proxy`. Ports that it leaves out are found in the profile or by asking the proxy. */
export interface ProxyAddress {
  readonly host: string;
  readonly webPort: number | undefined;
  readonly sshPort: number | undefined;
}

const wrong = (text: string, why: string): CodedError =>
  new CodedError(
    'bad_request',
    `invalid proxy address '${text}': ${why} (expected host[:web_port[,ssh_port]])`,
  );

/**
 * Reads `host`, `host:web`, `host:web,ssh`, `host:,ssh`, with an optional `https://` before it; IPv6 is in
 * brackets.
 * @throws CodedError `bad_request`.
 */
export function parseProxyAddress(text: string): ProxyAddress {
  const rest = text
    .trim()
    .replace(/^https:\/\//i, '')
    .replace(/\/$/, '');
  if (isIP(rest) === 6) return { host: rest, webPort: undefined, sshPort: undefined };
  const match = /^(?:\[([^\]]+)\]|([^:,[\]]+))(?::(\d*)(?:,(\d+))?)?$/.exec(rest);
  if (match === null) throw wrong(text, 'it cannot be read');
  const host = match[1] ?? match[2] ?? '';
  if (match[1] !== undefined && isIP(host) !== 6) throw wrong(text, 'brackets hold an IPv6 address');
  return { host: checkedHost(host), webPort: port(text, match[3]), sshPort: port(text, match[4]) };
}

function port(whole: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (value < 1 || value > 65_535) throw wrong(whole, `${text} is not a port`);
  return value;
}

/**
 * Reads a port given to `flag`.
 * @throws CodedError `bad_request`.
 */
export function parsePort(text: string, flag: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 65_535) throw new CodedError('bad_request', `${flag}: '${text}' is not a port`);
  return value;
}

/** Reads `host:port` in profiles and the proxy's own responses; undefined when it is not one. */
export function readHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const value = Number(match?.[3]);
  return host === undefined || value < 1 || value > 65_535 ? undefined : { host, port: value };
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

export const webUrl = (address: HostPort): string => `https://${formatHostPort(address)}`;

import { isIP } from 'node:net';
import { CodedError } from './errors.ts';
import type { HostPort } from './service.ts';

const schemes = ['tcp', 'unix', 'http', 'https'];

/**
 * Reads `host`, `host:port`, `[v6]:port` or `tcp://host:port`. Stricter than 4.4, which took `a:b:c`, and a
 * bare number for a host.
 * @throws CodedError `misconfigured` with what was wrong.
 */
export function parseHostPort(text: string, defaultPort: number): HostPort {
  const rest = withoutScheme(text);
  // Resolvers take it for an IPv4 address in one number: 35022 is 0.0.136.206.
  if (/^\d+$/.test(rest))
    throw fault(
      text,
      `a number alone is not a host: write host:port (0.0.0.0:${rest} to listen on every address)`,
    );
  if (isIP(rest) === 6) return { host: rest, port: defaultPort };
  const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(rest);
  if (match === null) throw fault(text, 'expected host or host:port');
  const [, bracketed, plain, digits] = match;
  if (bracketed !== undefined && isIP(bracketed) !== 6) throw fault(text, 'brackets hold an IPv6 address');
  const port = digits === undefined ? defaultPort : Number(digits);
  if (port > 65_535) throw fault(text, 'the port is above 65535');
  return { host: bracketed ?? plain ?? '', port };
}

const fault = (text: string, why: string): CodedError => new CodedError('misconfigured', `'${text}': ${why}`);

function withoutScheme(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return text;
  if (!schemes.includes(scheme)) throw fault(text, `unsupported scheme: '${scheme}'`);
  if (scheme === 'unix') throw fault(text, 'unix sockets are not supported here, use host:port');
  return text.slice(scheme.length + 3).replace(/\/$/, '');
}

/** True for `0.0.0.0` and `::`: an address to listen on, never one to dial. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** Where to dial a listener on this machine: an IPv6 wildcard may not include IPv4. */
export const callable = ({ host, port }: HostPort): HostPort =>
  isWildcard(host) ? { host: host === '::' ? '::1' : '127.0.0.1', port } : { host, port };

/**
 * `1.2.3.4:5678` or `[2001:db8::1]:5678`, as one of our programs tells another; undefined for anything
 * else.
 */
export function ipAndPort(text: unknown): HostPort | undefined {
  if (typeof text !== 'string') return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const family = match?.[1] === undefined ? 4 : 6;
  return isIP(host) === family && port <= 65535 ? { host, port } : undefined;
}

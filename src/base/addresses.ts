import { isIP } from 'node:net';
import { CodedError } from './errors.ts';
import type { HostPort } from './service.ts';

const schemes = ['tcp', 'unix', 'http', 'https'];

/**
 * Reads `host`, `host:port`, `[v6]:port` or `tcp://host:port`. Stricter than 4.4, which took `a:b:c`.
 * @throws CodedError `misconfigured` with what was wrong.
 */
export function parseHostPort(text: string, defaultPort: number): HostPort {
  const fault = (why: string): CodedError => new CodedError('misconfigured', `'${text}': ${why}`);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && !schemes.includes(scheme)) throw fault(`unsupported scheme: '${scheme}'`);
  if (scheme === 'unix') throw fault('unix sockets are not supported here, use host:port');
  const rest = scheme === undefined ? text : text.slice(scheme.length + 3).replace(/\/$/, '');
  if (isIP(rest) === 6) return { host: rest, port: defaultPort };
  const match = /^(?:\[([^\]]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(rest);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) throw fault('expected host or host:port');
  if (match[1] !== undefined && isIP(match[1]) !== 6) throw fault('brackets hold an IPv6 address');
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port > 65_535) throw fault('the port is above 65535');
  return { host, port };
}

/** True for `0.0.0.0` and `::`: an address to listen on, never one to call. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

import { isIP } from 'node:net';
import { CodedError } from './errors.ts';
import { plainAddress } from './network-of.ts';
import { isExempt } from './no-proxy.ts';
import type { HostPort } from './service.ts';

/** An HTTP proxy that opens connections for us (CONNECT). */
export interface ForwardProxy extends HostPort {
  /** How it is spoken to, whatever then goes through. */
  readonly scheme: 'http' | 'https';
  /** The header; never to be printed. */
  readonly authorization: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a connection is for: SSH and links (`raw`), or a call to a web server. */
export type Purpose = 'raw' | 'https' | 'http';

/**
 * Where a proxy is looked for, in this order. Source: reference 4.4, which sends SSH through the proxy of
 * either variable.
 */
const variables: Readonly<Record<Purpose, readonly string[]>> = {
  raw: ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'],
  https: ['HTTPS_PROXY', 'https_proxy'],
  http: ['HTTP_PROXY', 'http_proxy'],
};

/**
 * The proxy by which the environment wants `target` to be reached; undefined: directly, as always for this
 * machine itself.
 * @throws CodedError `misconfigured` naming the variable, and nothing of its value, which may contain a
 * password.
 */
export function forwardProxyFor(
  env: Environment,
  target: HostPort,
  purpose: Purpose,
): ForwardProxy | undefined {
  const variable = variables[purpose].find((name) => (env[name] ?? '').trim() !== '');
  if (variable === undefined || isThisMachine(target.host)) return undefined;
  if (isExempt(env['NO_PROXY'] ?? env['no_proxy'] ?? '', target)) return undefined;
  return parseForwardProxy((env[variable] ?? '').trim(), variable);
}

const isThisMachine = (host: string): boolean => {
  const plain = plainAddress(host.toLowerCase().replace(/\.$/, ''));
  return plain === 'localhost' || plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'));
};

const schemes: Readonly<Record<string, { readonly scheme: ForwardProxy['scheme']; readonly port: number }>> =
  {
    'http:': { scheme: 'http', port: 80 },
    'https:': { scheme: 'https', port: 443 },
  };

/**
 * Reads `[http[s]://][user[:password]@]host[:port]`.
 * @throws CodedError `misconfigured`.
 */
export function parseForwardProxy(text: string, variable: string): ForwardProxy {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  const known = url === null ? undefined : schemes[url.protocol];
  if (url === null || known === undefined || url.hostname === '' || !/^\/?$/.test(url.pathname + url.search))
    throw new CodedError(
      'misconfigured',
      `${variable} is not the address of an HTTP proxy: expected http://[user:password@]host[:port], or https://`,
    );
  return {
    scheme: known.scheme,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? known.port : Number(url.port),
    authorization: authorizationOf(url, variable),
  };
}

function authorizationOf({ username, password }: URL, variable: string): string | undefined {
  if (username === '' && password === '') return undefined;
  try {
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(pair).toString('base64')}`;
  } catch {
    throw new CodedError(
      'misconfigured',
      `${variable}: the user or password in it is not encoded as in a URL (a % is %25)`,
    );
  }
}

/** For messages: without the credentials. */
export const forwardProxyText = ({ scheme, host, port }: ForwardProxy): string =>
  `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;

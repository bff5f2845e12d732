import { CodedError } from '../base/errors.ts';

/** What a client asks the proxy to connect it with. */
export type RequestTarget =
  /** `port` 0: the one the node announced. `cluster` undefined: the one the certificate routes to, else this one. */
  | {
      readonly kind: 'node';
      readonly host: string;
      readonly port: number;
      readonly cluster: string | undefined;
    }
  | { readonly kind: 'auth'; readonly cluster: string }
  | { readonly kind: 'sites' };

const longest = 512;
const malformed = (why: string): CodedError =>
  new CodedError('bad_request', `invalid format for proxy request: ${why}`);

/**
 * Reads the name of a subsystem: `proxysites`, `proxy:@cluster`, `proxy:host:port`, `proxy:host:port@cluster`,
 * `proxy:host:port@namespace@cluster`. An IPv6 address stands in brackets.
 * Undefined for a subsystem that is not ours.
 * @throws CodedError `bad_request`
 */
export function parseRequestTarget(subsystem: string): RequestTarget | undefined {
  if (subsystem === 'proxysites') return { kind: 'sites' };
  if (!subsystem.startsWith('proxy:')) return undefined;
  if (subsystem.length > longest) throw malformed('too long');
  const [address = '', ...at] = subsystem.slice('proxy:'.length).split('@');
  const cluster = clusterOf(at);
  if (address !== '') return { kind: 'node', ...parseAddress(address), cluster };
  if (cluster === undefined) throw malformed('neither host nor cluster is given');
  return { kind: 'auth', cluster };
}

/** From `cluster`, or `namespace` and `cluster`; undefined when none is named. */
function clusterOf(at: readonly string[]): string | undefined {
  if (at.length > 2) throw malformed('expected host:port@namespace@cluster');
  const namespace = at.length === 2 ? (at[0] ?? '') : '';
  if (namespace !== '' && namespace !== 'default') throw malformed(`unknown namespace "${namespace}"`);
  const cluster = at.at(-1);
  return cluster === '' ? undefined : cluster;
}

function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s]+))(?::(\d{0,5}))?$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) throw malformed(`"${address}" is not host:port`);
  const port = Number(match[3] ?? '0');
  if (port > 65_535) throw malformed(`port ${port} is above 65535`);
  return { host, port };
}

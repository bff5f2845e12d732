import { knownNodesSubsystem } from '../../api/known-nodes.ts';
import { CodedError } from '../../base/errors.ts';

/** What a client asks the proxy to connect it with. */
export type RequestTarget =
  NodeTarget | AuthTarget | { readonly kind: 'sites' } | { readonly kind: 'known-nodes' };

export interface NodeTarget {
  readonly kind: 'node';
  readonly host: string;
  /** 0: the one that the node announced. */
  readonly port: number;
  /** Undefined: the one the certificate routes to, else this one. */
  readonly cluster: string | undefined;
}

export interface AuthTarget {
  readonly kind: 'auth';
  readonly cluster: string;
}

const longest = 512;
/**
 * As `proxy:[fd00::6]:22`, or a name without blanks and invisible characters: it goes into messages and logs.
 */
const addressForm = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]@\s\p{C}]+))(?::(\d{0,5}))?$/u;
const malformed = (why: string): CodedError =>
  new CodedError('bad_request', `invalid format for proxy request: ${why}`);

/**
 * Reads the name of a subsystem: `proxysites`, `proxynodes`, `proxy:@cluster`, `proxy:host:port`,
 * `proxy:host:port@cluster`, `proxy:host:port@namespace@cluster`. An IPv6 address is in brackets. A port of
 * 0, or none, means unspecified. Undefined for a subsystem that is not ours.
 * @throws CodedError `bad_request`
 */
export function parseRequestTarget(subsystem: string): RequestTarget | undefined {
  if (subsystem === 'proxysites') return { kind: 'sites' };
  if (subsystem === knownNodesSubsystem) return { kind: 'known-nodes' };
  if (!subsystem.startsWith('proxy:')) return undefined;
  if (subsystem.length > longest) throw malformed('too long');
  const [address = '', ...at] = subsystem.slice('proxy:'.length).split('@');
  const cluster = clusterOf(at);
  if (address !== '') return { kind: 'node', ...parseAddress(address), cluster };
  if (cluster === undefined) throw malformed('neither host nor cluster is given');
  return { kind: 'auth', cluster };
}

/**
 * The same for a direct-tcpip channel (`ssh -J`), whose address comes as host and port, IPv6 without
 * brackets.
 * @throws CodedError `bad_request`
 */
export function directTarget({ host, port }: { host: string; port: number }): NodeTarget {
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  if (host.length > longest) throw malformed('too long');
  return { kind: 'node', ...parseAddress(`${bracketed}:${port}`), cluster: undefined };
}

/** From `cluster`, or `namespace` and `cluster`; undefined when none is named. */
function clusterOf(at: readonly string[]): string | undefined {
  if (at.length > 2) throw malformed('expected host:port@namespace@cluster');
  const namespace = at.length === 2 ? (at[0] ?? '') : '';
  if (namespace !== '' && namespace !== 'default')
    throw malformed(`unknown namespace ${JSON.stringify(namespace)}`);
  const cluster = at.at(-1);
  return cluster === '' ? undefined : cluster;
}

function parseAddress(address: string): { host: string; port: number } {
  const match = addressForm.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (match === null || host === undefined) throw malformed(`${JSON.stringify(address)} is not host:port`);
  const port = Number(match[3] ?? '0');
  if (port > 65_535) throw malformed(`port ${port} is above 65535`);
  return { host, port };
}

import type { Socket } from 'node:net';
import { formatHostPort, type HostPort } from './service.ts';

/** Both ends of a TCP connection. Of one that is closed, or within this process, there are none. */
export interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** The client of a connection, which a balancer may have passed on. */
export type SocketClient =
  /** Undefined when the connection is closed, or within this process. */
  | { readonly status: 'direct'; readonly address: HostPort | undefined }
  /** As a balancer that is listed named it. */
  | { readonly status: 'named'; readonly address: HostPort; readonly balancer: HostPort }
  /** A listed balancer speaks for itself, or for somebody whom it cannot name: the address is its own. */
  | { readonly status: 'unnamed'; readonly address: HostPort | undefined };

/** A connection that tells when it closes. */
type Open = Ends & Pick<Socket, 'once'>;

interface Told {
  readonly socket: Open;
  readonly client: HostPort | undefined;
}

/** What balancers told of the open connections of this process, by both ends, which TLS on one shares. */
const told = new Map<string, Told>();

/** Of those who asked, since a connection that has closed has no ends. */
const known = new WeakMap<Ends, SocketClient>();

/**
 * The same text for a TCP connection and for the TLS on it, different from that of every other open one;
 * undefined where it is closed, or within this process.
 */
export function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Ends): string | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const local = { host: localAddress ?? '', port: localPort ?? 0 };
  return `${formatHostPort({ host: remoteAddress, port: remotePort })} ${formatHostPort(local)}`;
}

/**
 * From here on, until it closes, `clientOf` answers so for the connection and for the TLS on it. Of a
 * connection that passes several balancers, each of them is told after the one before it, and the last one
 * told holds.
 * @param client undefined: the balancer named nobody.
 */
export function tellClient(socket: Open, client: HostPort | undefined): void {
  const ends = endsOf(socket);
  if (ends === undefined) return; // it is closed already
  const entry = { socket, client };
  known.delete(socket);
  told.set(ends, entry);
  socket.once('close', () => {
    if (told.get(ends) === entry) told.delete(ends);
  });
}

/**
 * Whom a connection is from. The one place to ask: a socket's own address may be that of a balancer. Who has
 * asked once gets the same answer when the connection has closed.
 */
export function clientOf(socket: Ends): SocketClient {
  const found = known.get(socket) ?? find(socket);
  if (found.status !== 'direct') known.set(socket, found);
  return found;
}

function find(socket: Ends): SocketClient {
  const ends = endsOf(socket);
  const { remoteAddress: host, remotePort: port = 0 } = socket;
  const address = host === undefined ? undefined : { host, port };
  const entry = ends === undefined ? undefined : told.get(ends);
  if (entry === undefined || address === undefined) return { status: 'direct', address };
  if (entry.client === undefined) return { status: 'unnamed', address };
  return { status: 'named', address: entry.client, balancer: address };
}

import { request as requestHttp, type ClientRequest } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { requestHttps, type ServerCheck } from './dial-tls.ts';
import { CodedError } from './errors.ts';
import { type ForwardProxy, forwardProxyText } from './forward-proxy.ts';
import { formatHostPort, type HostPort } from './service.ts';

/** By what a connection leaves this machine. */
export interface Outlet {
  /** Undefined: directly. */
  readonly through: ForwardProxy | undefined;
  /** PEM of the authorities that may vouch for a proxy that speaks TLS; undefined: the runtime's. */
  readonly authorities?: (() => readonly string[]) | undefined;
}

const aliveMs = 15_000;

/**
 * A TCP connection to `target`, or one that an HTTP proxy opened for us.
 * @param signal ends the attempt, and has no effect on what came of it.
 * @throws CodedError `unavailable` naming the proxy, where it is at fault; else the error of the connection.
 */
export const dialOut = (target: HostPort, outlet: Outlet, signal: AbortSignal): Promise<Duplex> =>
  outlet.through === undefined
    ? direct(target, signal)
    : byConnect(target, { ...outlet, through: outlet.through }, signal);

function direct({ host, port }: HostPort, signal: AbortSignal): Promise<Duplex> {
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: aliveMs });
  return attempt(
    signal,
    (e) => socket.destroy(e),
    (give, fail) => {
      socket.once('error', fail);
      socket.once('connect', () => {
        socket.off('error', fail);
        give(socket);
      });
    },
  );
}

/** Source: RFC 9110, 9.3.6. */
function byConnect(
  target: HostPort,
  { through, authorities }: Outlet & { readonly through: ForwardProxy },
  signal: AbortSignal,
): Promise<Duplex> {
  const authority = formatHostPort(target);
  const { authorization } = through;
  const options = {
    method: 'CONNECT',
    path: authority,
    headers: {
      host: authority,
      ...(authorization !== undefined && { 'proxy-authorization': authorization }),
    },
  };
  const url = new URL(forwardProxyText(through));
  const outgoing =
    through.scheme === 'https'
      ? requestHttps(url, options, { status: 'checked', ca: authorities?.() })
      : requestHttp(url, { ...options, agent: false });
  const fault = (why: string): CodedError =>
    new CodedError('unavailable', `the HTTP proxy ${forwardProxyText(through)} ${why}`);
  return attempt(
    signal,
    (e) => outgoing.destroy(e),
    (give, fail) => {
      outgoing.on('error', (e) => {
        fail(fault(`cannot be used: ${e.message}`));
      });
      outgoing.on('connect', ({ statusCode = 0 }, socket, head) => {
        if (statusCode >= 200 && statusCode < 300) {
          give(ready(socket, head));
          return;
        }
        socket.destroy();
        fail(
          fault(
            statusCode === 407
              ? `wants ${authorization === undefined ? 'a user and a password' : 'another user or password'} (407)`
              : `does not connect to ${authority}: it answers ${statusCode}`,
          ),
        );
      });
      outgoing.end();
    },
  );
}

/** What a web server is asked for, to carry something else from then on. */
export interface UpgradeAsk {
  /** `http:` or `https:`. */
  readonly url: URL;
  readonly protocol: string;
  /** Of `https:`. */
  readonly check: ServerCheck;
  readonly outlet: Outlet;
}

/**
 * A connection that carried one request and then is whatever the protocol says.
 * @throws CodedError `unavailable` where the server does not upgrade; else the error of the connection.
 */
export async function dialUpgraded(ask: UpgradeAsk, signal: AbortSignal): Promise<Duplex> {
  const { url, protocol, check, outlet } = ask;
  const over = await dialOut(placeOf(url), outlet, signal);
  const options = { method: 'GET', headers: { connection: 'Upgrade', upgrade: protocol } };
  const outgoing: ClientRequest =
    url.protocol === 'https:'
      ? requestHttps(url, options, check, over)
      : requestHttp(url, { ...options, createConnection: () => over });
  return attempt(
    signal,
    (e) => outgoing.destroy(e),
    (give, fail) => {
      outgoing.on('error', fail);
      outgoing.on('response', (response) => {
        response.destroy();
        fail(new CodedError('unavailable', `it answers ${response.statusCode ?? 0}, and does not upgrade`));
      });
      outgoing.on('upgrade', (response, socket, head) => {
        if (response.headers.upgrade?.toLowerCase() === protocol.toLowerCase()) {
          give(ready(socket, head));
          return;
        }
        socket.destroy();
        fail(new CodedError('unavailable', 'it upgrades to something else'));
      });
      outgoing.end();
    },
  );
}

/** Where a URL leads. */
export const placeOf = ({ hostname, port, protocol }: URL): HostPort => ({
  host: hostname.replace(/^\[(.*)\]$/, '$1'),
  port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
});

function ready(socket: Duplex & { setNoDelay?: (on: boolean) => unknown }, head: Buffer): Duplex {
  socket.setNoDelay?.(true);
  if (head.length > 0) socket.unshift(head);
  return socket;
}

/**
 * One that `begin` starts, and `giveUp` ends, with the reason, when `signal` is aborted before its result.
 */
export function attempt(
  signal: AbortSignal,
  giveUp: (e: Error) => void,
  begin: (give: (stream: Duplex) => void, fail: (e: Error) => void) => void,
): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  const abort = (): void => {
    const e = new CodedError('unavailable', 'no answer in time');
    giveUp(e);
    reject(e);
  };
  begin(resolve, reject);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort);
  return promise.finally(() => {
    signal.removeEventListener('abort', abort);
  });
}

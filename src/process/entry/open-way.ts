import { request as requestHttp } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { requestHttps } from '../../base/dial-tls.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';

/** How bytes reach a proxy as they are: by TCP, or through a connection to its web port that is upgraded. */
export type Way =
  | { readonly status: 'tcp'; readonly address: HostPort }
  | { readonly status: 'upgrade'; readonly address: HostPort; readonly scheme: 'https' | 'http' };

export const wayText = (way: Way): string =>
  way.status === 'tcp'
    ? formatHostPort(way.address)
    : `${way.scheme}://${formatHostPort(way.address)}/v1/webapi/connect`;

/** A connection by this way. @throws CodedError `unavailable` with the way and the reason. */
export async function openWay(way: Way, signal: AbortSignal): Promise<Duplex> {
  try {
    return await (way.status === 'tcp' ? tcp(way.address, signal) : upgraded(way, signal));
  } catch (cause) {
    throw new CodedError('unavailable', `${wayText(way)}: ${messageOf(cause)}`, { cause });
  }
}

const aliveMs = 15_000;

/** @param signal ends the attempt, and has no effect on what came of it. */
function tcp({ host, port }: HostPort, signal: AbortSignal): Promise<Duplex> {
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

/**
 * The TLS outside belongs to whatever ends it, and protects nothing of ours: it is not checked. What goes
 * through has TLS of its own.
 */
function upgraded(
  { address, scheme }: Extract<Way, { status: 'upgrade' }>,
  signal: AbortSignal,
): Promise<Duplex> {
  const url = new URL(`${scheme}://${formatHostPort(address)}/v1/webapi/connect`);
  const options = { method: 'GET', headers: { connection: 'Upgrade', upgrade: 'teleport' } };
  const outgoing =
    scheme === 'https'
      ? requestHttps(url, options, { status: 'unchecked' })
      : requestHttp(url, { ...options, agent: false });
  return attempt(
    signal,
    (e) => outgoing.destroy(e),
    (give, fail) => {
      outgoing.on('error', fail);
      outgoing.on('response', (response) => {
        response.destroy();
        fail(new CodedError('unavailable', `it answers ${response.statusCode ?? 0}, and does not upgrade`));
      });
      outgoing.on('upgrade', (_response, socket, head) => {
        socket.setNoDelay(true);
        if (head.length > 0) socket.unshift(head);
        give(socket);
      });
      outgoing.end();
    },
  );
}

function attempt(
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

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { startTicker } from '../base/timers.ts';
import { Silence } from './silence.ts';

/**
 * While a server works on a request it sends `102 Processing` twice a second, so that the caller can
 * distinguish a slow store from a server that is stopped, hangs, or is behind a dead link. Both sides agree
 * on it in the TLS handshake (ALPN), so a server of a release without beats is waited for as long as before.
 */
export const beatProtocol = 'teleport-beats';
/** In the server's order of preference. */
export const protocols = [beatProtocol, 'http/1.1'];

export const beatEveryMs = 500;
/** After this long without a beat the server counts as gone. */
export const silentAfterMs = 3 * beatEveryMs;

const beats = (stream: Duplex | null): boolean =>
  stream !== null && 'alpnProtocol' in stream && stream.alpnProtocol === beatProtocol;

/** Sends beats until the head of the response is sent. */
export function beatWhileWorking(request: IncomingMessage, response: ServerResponse): void {
  if (!beats(request.socket)) return;
  const timer = startTicker(() => {
    if (response.headersSent || response.destroyed) timer.stop();
    else response.writeProcessing();
  }, beatEveryMs);
  response.once('close', () => {
    timer.stop();
  });
}

/** Calls `silent` once when a server that sends beats has stopped before the head of its response. */
export function watchBeats(outgoing: ClientRequest, silent: () => void): void {
  const silence = new Silence();
  silence.signal.addEventListener('abort', () => {
    if (!outgoing.destroyed) silent();
  });
  outgoing.once('socket', (socket: Duplex) => {
    if (!beats(socket)) return;
    silence.watch(silentAfterMs);
    outgoing.on('information', () => {
      silence.watch(silentAfterMs);
    });
  });
  outgoing.once('response', () => {
    silence.stop();
  });
  outgoing.once('close', () => {
    silence.stop();
  });
}

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { startTicker, startTimer, stopTimer, type Timer } from '../base/timers.ts';

/**
 * While a server works on a request it says so twice a second, by `102 Processing`: who waits tells a slow
 * store from a server that is stopped, hangs, or is behind a dead link. Both sides agree on it in the TLS
 * handshake (ALPN), so a server of a release that does not beat is waited for as long as before.
 */
export const beatProtocol = 'teleport-beats';
/** In the server's order of preference. */
export const protocols = [beatProtocol, 'http/1.1'];

export const beatEveryMs = 500;
/** After so long without a beat a server is not there any more. */
export const silentAfterMs = 3 * beatEveryMs;

const beats = (stream: Duplex | null): boolean =>
  stream !== null && 'alpnProtocol' in stream && stream.alpnProtocol === beatProtocol;

/** Beats until the head of the answer is sent. */
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

/** Calls `silent` once when a server that beats has not, before the head of its answer. */
export function watchBeats(outgoing: ClientRequest, silent: () => void): void {
  let timer: Timer | undefined;
  let heard = 0;
  const stop = (): void => {
    stopTimer(timer);
  };
  const listen = (): void => {
    stop();
    const before = heard;
    timer = startTimer(() => {
      // When this process was busy for that long, what came meanwhile is read only now.
      setImmediate(() => {
        if (heard === before && !outgoing.destroyed) silent();
      });
    }, silentAfterMs);
  };
  outgoing.once('socket', (socket: Duplex) => {
    if (!beats(socket)) return;
    listen();
    outgoing.on('information', () => {
      heard++;
      listen();
    });
  });
  outgoing.once('response', () => {
    heard++;
    stop();
  });
  outgoing.once('close', stop);
}

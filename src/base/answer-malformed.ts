import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { second } from './duration.ts';
import { startTimer, stopTimer } from './timers.ts';

/** As the runtime answers by itself. Source: https://nodejs.org/api/http.html#event-clienterror */
const statuses: ReadonlyMap<string | undefined, string> = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', '413 Payload Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);

/** How long what still comes of a bad request is read and dropped. */
const lingerMs = second;

/**
 * Answers what is no request, and closes the connection once the answer was read. The runtime closes at
 * once: then bytes that it has not read reset the connection, and the client may never see why it was
 * refused.
 */
export function answerMalformed(server: Server): void {
  const answered = new WeakSet<Duplex>();
  const newest = new WeakMap<Duplex, ServerResponse>();
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    newest.set(socket, response);
  });
  server.on('clientError', (e: NodeJS.ErrnoException, socket: Duplex) => {
    if (answered.has(socket)) return; // the rest of the same request
    answered.add(socket);
    const response = newest.get(socket);
    const isAnswering = response?.headersSent === true && !response.writableFinished;
    if (!socket.writable || isAnswering) {
      socket.destroy();
      return;
    }
    const limit = startTimer(() => socket.destroy(), lingerMs);
    socket.once('close', () => {
      stopTimer(limit);
    });
    socket.end(`HTTP/1.1 ${statuses.get(e.code) ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`);
  });
}

import type { Server as HttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { startTimer, stopTimer } from '../../base/timers.ts';

/** First byte of every TLS connection: a handshake record. Source: RFC 8446, 5.1. */
const tlsHandshake = 0x16;

/**
 * One port for two protocols: reads the first byte of each connection, puts it back, and gives the connection
 * to the server for that protocol. A client that sends nothing for `timeoutMs` is cut off.
 */
export function splitByFirstByte(options: {
  readonly plain: HttpServer;
  readonly tls: HttpServer;
  readonly timeoutMs: number;
}): Server {
  const { plain, tls, timeoutMs } = options;
  const outer = createServer({ noDelay: true }, (socket) => {
    const impatient = startTimer(() => socket.destroy(), timeoutMs);
    socket.on('error', () => socket.destroy()); // the client's doing; `close` follows
    socket.once('close', () => {
      stopTimer(impatient);
    });
    socket.once('readable', () => {
      stopTimer(impatient);
      giveOn(socket);
    });
  });
  const giveOn = (socket: Socket): void => {
    const first = socket.read() as Buffer | null;
    if (first === null) {
      socket.destroy(); // it closed without sending anything
      return;
    }
    socket.unshift(first);
    (first[0] === tlsHandshake ? tls : plain).emit('connection', socket);
  };
  // Node starts to check for slow requests when a server listens; these two never listen themselves.
  outer.once('listening', () => {
    for (const server of [plain, tls]) server.emit('listening');
  });
  return outer;
}

import { type Server, type Socket, createServer } from 'node:net';
import { CodedError } from '../../../base/errors.ts';
import { type HostPort, formatHostPort } from '../../../base/service.ts';
import { parsePort } from '../cluster/proxy-address.ts';

/** `-L listen → target`. */
export interface Forward {
  readonly listen: HostPort;
  readonly target: HostPort;
}

/** Splits at colons that do not stand in brackets. */
const pieces = (text: string): readonly string[] =>
  (text.match(/\[[^\]]*\]|[^:]+|(?<=^|:)(?=:|$)/g) ?? []).map((p) => p.replace(/^\[(.*)\]$/, '$1'));

/**
 * Reads `[ip:]port:host:port`; the address is 127.0.0.1 unless one is given. @throws CodedError
 * `bad_request`.
 */
export function parseForward(text: string): Forward {
  const parts = pieces(text);
  const [host, port] = parts.slice(-2);
  const [address, listen] = parts.length === 4 ? parts : ['127.0.0.1', parts[0]];
  if ((parts.length !== 3 && parts.length !== 4) || !host || !port || !address || !listen)
    throw new CodedError('bad_request', `invalid port forwarding '${text}': expected [ip:]port:host:port`);
  return {
    listen: { host: address, port: parsePort(listen, '-L') },
    target: { host, port: parsePort(port, '-L') },
  };
}

/** Reads `[ip:]port`. @throws CodedError `bad_request`. */
export function parseDynamicForward(text: string): HostPort {
  const parts = pieces(text);
  const [address, port] = parts.length === 2 ? parts : ['127.0.0.1', parts[0]];
  if (parts.length > 2 || !address || !port)
    throw new CodedError('bad_request', `invalid port forwarding '${text}': expected [ip:]port`);
  return { host: address, port: parsePort(port, '-D') };
}

/** Listens; each connection goes to `serve`. Close the server and its connections with `close`. */
export interface LocalListener {
  close(): void;
}

/** @throws CodedError `misconfigured` naming the address and why it cannot be bound. */
export function listenLocally(address: HostPort, serve: (socket: Socket) => void): Promise<LocalListener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', (e: NodeJS.ErrnoException) => {
      reject(
        new CodedError('misconfigured', `Failed to bind to ${formatHostPort(address)}: ${bindReason(e)}`, {
          cause: e,
        }),
      );
    });
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => {
      resolve({
        close: () => {
          server.close();
          for (const socket of sockets) socket.destroy();
        },
      });
    });
  });
}

const bindReason = (e: NodeJS.ErrnoException): string => {
  if (e.code === 'EADDRINUSE') return 'address already in use';
  if (e.code === 'EACCES') return 'permission denied (ports below 1024 need root)';
  if (e.code === 'EADDRNOTAVAIL' || e.code === 'ENOTFOUND') return 'this machine has no such address';
  return e.message;
};

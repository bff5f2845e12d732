import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientOf } from '../base/client-of.ts';
import type { HostPort } from '../base/service.ts';
import type { Peer } from './server-types.ts';

/**
 * The addresses of a connection that was accepted, before any preamble on it is read.
 * @param known the client's true address, where the caller knows better than the socket.
 */
export function peerOf(socket: Duplex, known: HostPort | undefined): Peer {
  const ends = socket instanceof Socket ? socket : undefined;
  const socketAddress = addressOf(ends?.remoteAddress, ends?.remotePort);
  const client = ends === undefined ? undefined : clientOf(ends);
  return {
    remoteAddress: known ?? (client?.status === 'named' ? client.address : socketAddress),
    socketAddress,
    localAddress: addressOf(ends?.localAddress, ends?.localPort),
    claimedAddress: undefined,
  };
}

const addressOf = (host: string | undefined, port: number | undefined): HostPort => ({
  host: host?.replace(/^::ffff:(?=\d+\.)/, '') ?? 'unknown',
  port: port ?? 0,
});

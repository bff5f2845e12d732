import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { clientOf } from '../base/client-of.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { Greeting } from './server-greeting.ts';
import type { Peer } from './server-types.ts';

/**
 * The addresses of a connection that was accepted, before any preamble on it is read.
 * @param known the client's true address, where the caller knows better than the socket.
 */
export function peerOf(socket: Duplex, known: HostPort | undefined): Peer {
  const ends = socket instanceof Socket ? socket : undefined;
  const socketAddress = addressOf(ends?.remoteAddress, ends?.remotePort);
  const client = ends === undefined ? undefined : clientOf(ends);
  const remoteAddress = known ?? (client?.status === 'named' ? client.address : socketAddress);
  // Before a preamble only a balancer can have told of somebody else.
  const isBalanced = ends !== undefined && formatHostPort(remoteAddress) !== formatHostPort(socketAddress);
  return {
    remoteAddress,
    socketAddress,
    localAddress: addressOf(ends?.localAddress, ends?.localPort),
    claimedAddress: undefined,
    ...(isBalanced && { balancerAddress: socketAddress }),
  };
}

/** The same, when it is known what the greeting told. */
export function greetedPeer(
  { balancerAddress: own, ...peer }: Peer,
  { claimedAddress, believedAddress, sessionId, balancerAddress: told }: Greeting,
): Peer {
  const balancerAddress = believedAddress === undefined ? own : told;
  return {
    ...{ ...peer, claimedAddress, remoteAddress: believedAddress ?? peer.remoteAddress },
    ...(sessionId && { sessionId }),
    ...(balancerAddress && { balancerAddress }),
  };
}

const addressOf = (host: string | undefined, port: number | undefined): HostPort => ({
  host: host?.replace(/^::ffff:(?=\d+\.)/, '') ?? 'unknown',
  port: port ?? 0,
});

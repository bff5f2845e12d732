import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { CodedError } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { ResolvedNode } from './resolve-node.ts';

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it closed the connection',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'DNS does not answer',
};

/** How a stream to a node is made. TCP now; a tunnel that the node opened takes the same place, found by `hostId`. */
export type DialNode = (node: ResolvedNode, signal: AbortSignal) => Promise<Duplex>;

/** A TCP connection. @throws CodedError `unavailable`, naming the address and why; also when `signal` is aborted. */
export type DialAddress = (address: HostPort, signal: AbortSignal) => Promise<Duplex>;

export const dialTcp =
  (timeoutMs = 10_000): DialAddress =>
  (address, signal) =>
    new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        settle();
        socket.destroy();
        reject(new CodedError('unavailable', `cannot connect to ${formatHostPort(address)}: ${why}`));
      };
      const abort = (): void => {
        fail('the client has left');
      };
      const limit = setTimeout(() => {
        fail(`no answer in ${timeoutMs / 1000} s`);
      }, timeoutMs);
      const settle = (): void => {
        clearTimeout(limit);
        signal.removeEventListener('abort', abort);
      };
      // Half open: the end of one direction says nothing of the other.
      const socket = connect({ ...address, noDelay: true, allowHalfOpen: true, keepAlive: true });
      socket.on('error', (e: NodeJS.ErrnoException) => {
        fail(reasons[e.code ?? ''] ?? e.message); // once it is connected: only `close`, by which its holder learns
      });
      socket.once('connect', () => {
        settle();
        resolve(socket);
      });
      signal.addEventListener('abort', abort);
      if (signal.aborted) abort();
    });

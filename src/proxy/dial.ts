import { connect, type Socket } from 'node:net';
import { CodedError } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'no answer',
  ENOTFOUND: 'the name is not known',
};

/** How a stream to a node is made. TCP now; a tunnel that the node opened takes the same place. */
export type Dial = (address: HostPort) => Promise<Socket>;

/** @throws CodedError `unavailable`, naming the address and why. */
export const dialTcp =
  (timeoutMs = 10_000): Dial =>
  (address) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: address.host, port: address.port, noDelay: true });
      const fail = (why: string): void => {
        socket.destroy();
        reject(new CodedError('unavailable', `cannot connect to ${formatHostPort(address)}: ${why}`));
      };
      const limit = setTimeout(() => {
        fail(`no answer in ${timeoutMs / 1000} s`);
      }, timeoutMs);
      socket.once('error', (e: NodeJS.ErrnoException) => {
        clearTimeout(limit);
        fail(reasons[e.code ?? ''] ?? e.message);
      });
      socket.once('connect', () => {
        clearTimeout(limit);
        socket.removeAllListeners('error');
        resolve(socket);
      });
    });

import type { Socket } from 'node:net';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { proxyPreamble } from '../ssh/proxy-preamble.ts';

const ours = 'SSH-2.0-Teleport';

/**
 * Waits for the first bytes of a node and tells it, when it is one of ours, who the true client is, before any byte of
 * that client. The node's bytes are put back: the client reads them.
 * @throws CodedError `unavailable` when the node closes or says nothing in time.
 */
export function greetNode(socket: Socket, client: HostPort, timeoutMs = 10_000): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (e?: CodedError): void => {
      clearTimeout(limit);
      socket.off('readable', read);
      socket.off('end', ended);
      socket.off('error', ended);
      socket.off('close', ended);
      if (e === undefined) resolve();
      else {
        socket.destroy();
        reject(e);
      }
    };
    const ended = (): void => {
      settle(new CodedError('unavailable', 'the node closed the connection before it said who it is'));
    };
    const limit = setTimeout(() => {
      settle(new CodedError('unavailable', `the node said nothing in ${timeoutMs / 1000} s`));
    }, timeoutMs);
    let seen = Buffer.alloc(0);
    const read = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
        seen = Buffer.concat([seen, chunk]);
      if (seen.length < ours.length && ours.startsWith(seen.toString('latin1'))) return;
      if (seen.toString('latin1').startsWith(ours)) socket.write(proxyPreamble(client));
      socket.unshift(seen);
      settle();
    };
    socket.on('readable', read);
    socket.once('end', ended);
    socket.once('error', ended);
    socket.once('close', ended);
    read();
  });
}

import { connect, Socket } from 'node:net';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import type { LibcLoad } from './libc.ts';
import type { OsUser } from './passwd.ts';
import { socketAddress } from './socket-address.ts';

const connectMs = 30_000;

export interface DialOptions {
  /**
   * The connection belongs to this account, for firewalls and routing rules: as if a program of it had made
   * it.
   */
  readonly user: OsUser;
  readonly libc: LibcLoad;
  /** Ends the dialling. */
  readonly signal: AbortSignal;
}

/**
 * Connects to a numeric address as a person. The socket stays half open until both sides have ended.
 * @throws Error of the system, after 30 s, or once `signal` is aborted; CodedError `unavailable` where a node
 *   of root cannot act as the person.
 */
export async function dialAs(target: HostPort, { user, libc, signal }: DialOptions): Promise<Socket> {
  if (signal.aborted) throw clientLeft();
  const own = process.geteuid?.() === user.uid;
  const begun = own ? beginOwn(target) : beginAs(target, user, libc);
  const { socket } = begun;
  const limit = startTimer(() => {
    socket.destroy(new Error(`no answer in ${connectMs / 1000} s`));
  }, connectMs);
  const leave = (): void => void socket.destroy(clientLeft());
  signal.addEventListener('abort', leave);
  try {
    await begun.connected;
    return socket;
  } catch (e) {
    socket.destroy();
    throw e;
  } finally {
    stopTimer(limit);
    signal.removeEventListener('abort', leave);
    // It may break before it is joined: the code that joins it sees that it is destroyed.
    socket.removeAllListeners('error').on('error', () => socket.destroy());
  }
}

const clientLeft = (): Error => new Error('the client has left');

interface Begun {
  readonly socket: Socket;
  readonly connected: Promise<void>;
}

function beginOwn({ host, port }: HostPort): Begun {
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false });
  return {
    socket,
    connected: new Promise((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    }),
  };
}

function beginAs({ host, port }: HostPort, user: OsUser, libc: LibcLoad): Begun {
  if (libc.status === 'unavailable')
    throw new CodedError(
      'unavailable',
      'this node cannot connect as a login: the C library cannot be called',
    );
  if (process.geteuid?.() !== 0)
    throw new CodedError('unavailable', `this node does not run as root: it cannot connect as ${user.name}`);
  const fd = libc.libc.connectAs(user, socketAddress(host, port));
  const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  return {
    socket,
    connected: new Promise((resolve, reject) => {
      socket.setNoDelay(true);
      socket.once('error', reject);
      // The kernel does not accept even an empty write before it is connected, and reports why it never will
      // be.
      socket.write(Buffer.alloc(0), (e) => {
        if (e === null || e === undefined) resolve();
      });
    }),
  };
}

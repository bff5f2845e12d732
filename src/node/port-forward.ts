import { lookup } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import { messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { ForwardOpen } from '../ssh/cert-server.ts';
import { carry } from './carry.ts';
import type { AuditSubject, NodeAudit } from './node-audit.ts';

const connectMs = 30_000;

export interface PortForwardDeps {
  readonly audit: NodeAudit;
  readonly subject: AuditSubject;
  /** Why it is not allowed, or undefined. */
  readonly refusal: () => string | undefined;
  readonly onActivity: () => void;
}

/** Serves one direct-tcpip channel. What was tried is in the audit before a byte flows. Never rejects. */
export async function forwardPort(deps: PortForwardDeps, open: ForwardOpen): Promise<void> {
  const { audit, subject, refusal, onActivity } = deps;
  const addr = formatHostPort(open.target);
  const failed = (error: string): Promise<void> =>
    audit.afterwards(subject, { event: 'port', code: 'T3003E', addr, success: false, error });
  const refused = refusal();
  if (refused !== undefined) {
    open.reject('prohibited', refused);
    await failed(refused);
    return;
  }
  let socket: Socket;
  try {
    socket = await dialAny(open.target);
  } catch (e) {
    open.reject('connect_failed', messageOf(e));
    await failed(messageOf(e));
    return;
  }
  try {
    await audit.record(subject, { event: 'port', code: 'T3003I', addr, success: true });
  } catch (e) {
    socket.destroy();
    open.reject('resource_shortage', `cannot be recorded in the audit log: ${messageOf(e)}`);
    return;
  }
  await carry(socket, open.accept(), onActivity);
}

/** Tries the addresses of a name one after the other, as the system orders them. */
async function dialAny({ host, port }: HostPort): Promise<Socket> {
  if (port < 1 || port > 65_535) throw new Error(`no such port: ${port}`);
  const addresses = await lookup(host, { all: true });
  let failure: unknown = new Error(`no address is known for ${host}`);
  for (const { address } of addresses) {
    try {
      return await dial({ host: address, port });
    } catch (e) {
      failure = e;
    }
  }
  throw failure;
}

function dial({ host, port }: HostPort): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false });
  const limit = setTimeout(() => {
    socket.destroy(new Error(`no answer in ${connectMs / 1000} s`));
  }, connectMs);
  socket.once('error', (e) => {
    clearTimeout(limit);
    reject(e);
  });
  socket.once('connect', () => {
    clearTimeout(limit);
    socket.removeAllListeners('error');
    // Until it is carried it may break: carry() sees that it is destroyed.
    socket.on('error', () => socket.destroy());
    resolve(socket);
  });
  return promise;
}

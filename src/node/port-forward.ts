import { lookup } from 'node:dns/promises';
import type { Socket } from 'node:net';
import { isCoded, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { ForwardOpen } from '../ssh/cert-server.ts';
import { dialAs, type DialOptions } from '../ssh/dial-as.ts';
import type { LibcLoad } from '../ssh/libc.ts';
import type { OsUser } from '../ssh/passwd.ts';
import { carry } from './carry.ts';
import type { AuditSubject, NodeAudit } from './node-audit.ts';

export interface PortForwardDeps {
  readonly audit: NodeAudit;
  readonly subject: AuditSubject;
  /** Why it is not allowed, or undefined. */
  readonly refusal: () => string | undefined;
  /** In whose name it is dialled. @throws CodedError when the machine lets nobody use that account now. */
  readonly account: () => Promise<OsUser>;
  readonly libc: LibcLoad;
  readonly onActivity: () => void;
}

/** Serves one direct-tcpip channel. What was tried is in the audit before a byte flows. Never rejects. */
export async function forwardPort(deps: PortForwardDeps, open: ForwardOpen): Promise<void> {
  const { audit, subject, onActivity } = deps;
  const addr = formatHostPort(open.target);
  const failed = (error: string): Promise<void> =>
    audit.afterwards(subject, { event: 'port', code: 'T3003E', addr, success: false, error });
  const allowed = await allowedTo(deps);
  if (allowed.status === 'refused') {
    open.reject('prohibited', allowed.why);
    await failed(allowed.why);
    return;
  }
  let socket: Socket;
  try {
    socket = await dialAny(open.target, { ...deps, user: allowed.user });
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

type Allowed =
  | { readonly status: 'allowed'; readonly user: OsUser }
  | { readonly status: 'refused'; readonly why: string };

async function allowedTo({ refusal, account }: PortForwardDeps): Promise<Allowed> {
  const why = refusal();
  if (why !== undefined) return { status: 'refused', why };
  try {
    return { status: 'allowed', user: await account() };
  } catch (e) {
    if (!isCoded(e)) throw e;
    return { status: 'refused', why: e.message };
  }
}

/** Tries the addresses of a name one after the other, as the system orders them. */
async function dialAny({ host, port }: HostPort, options: DialOptions): Promise<Socket> {
  if (port < 1 || port > 65_535) throw new Error(`no such port: ${port}`);
  const addresses = await lookup(host, { all: true });
  let failure: unknown = new Error(`no address is known for ${host}`);
  for (const { address } of addresses) {
    try {
      return await dialAs({ host: address, port }, options);
    } catch (e) {
      failure = e;
    }
  }
  throw failure;
}

import type { Socket } from 'node:net';
import { second } from '../base/duration.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { joinStreams } from '../base/join-streams.ts';
import type { Asking, LookUpName } from '../base/name-lookup.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { signalAfter } from '../base/timers.ts';
import { catalogue } from '../domain/audit-catalogue.ts';
import type { ForwardOpen } from '../ssh/cert-server.ts';
import { dialAs, type DialOptions } from '../machine/dial-as.ts';
import type { LibcLoad } from '../machine/libc.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { AuditSubject, NodeAudit } from './node-audit.ts';

const lookUpMs = 30 * second;

export interface PortForwardDeps {
  readonly audit: NodeAudit;
  readonly subject: AuditSubject;
  /** Why it is not allowed, or undefined. */
  readonly refusal: () => string | undefined;
  /** The account that dials. @throws CodedError when the machine does not allow its use now. */
  readonly account: () => Promise<OsUser>;
  readonly libc: LibcLoad;
  readonly lookUpName: LookUpName;
  readonly onActivity: () => void;
  /** Aborted when the connection is closed: nothing is dialled for it any more. */
  readonly left: AbortSignal;
  /** Aborted when the node ends at once. */
  readonly stop: AbortSignal;
}

/** Serves one direct-tcpip channel. The attempt is in the audit before a byte flows. Never rejects. */
export async function forwardPort(deps: PortForwardDeps, open: ForwardOpen): Promise<void> {
  const { audit, subject, onActivity } = deps;
  const addr = formatHostPort(open.target);
  const failed = (error: string): Promise<void> =>
    audit.afterwards(subject, catalogue.portForwardFailure({ addr, success: false, error }));
  const allowed = await allowedTo(deps);
  if (allowed.status === 'refused') {
    open.reject('prohibited', allowed.why);
    await failed(allowed.why);
    return;
  }
  let socket: Socket;
  try {
    const signal = AbortSignal.any([deps.left, deps.stop]);
    const addresses = await addressesOf(open.target, { by: subject.username, signal }, deps);
    socket = await dialAny(addresses, open.target.port, { ...deps, user: allowed.user, signal });
  } catch (e) {
    open.reject('connect_failed', messageOf(e));
    await failed(messageOf(e));
    return;
  }
  try {
    await audit.record(subject, catalogue.portForward({ addr, success: true }));
  } catch (e) {
    socket.destroy();
    open.reject('resource_shortage', `cannot be recorded in the audit log: ${messageOf(e)}`);
    return;
  }
  const channel = open.accept();
  for (const stream of [socket, channel]) stream.on('data', onActivity);
  await joinStreams(socket, channel, deps);
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

/** @throws CodedError `unavailable` also when nothing replies in the time that a connection may take. */
async function addressesOf(
  { host, port }: HostPort,
  { by, signal }: Asking,
  { lookUpName }: PortForwardDeps,
): Promise<readonly string[]> {
  if (port < 1 || port > 65_535) throw new Error(`no such port: ${port}`);
  const limit = signalAfter(lookUpMs);
  try {
    return await lookUpName(host, { by, signal: AbortSignal.any([signal, limit]) });
  } catch (e) {
    if (!limit.aborted || signal.aborted) throw e;
    throw new CodedError(
      'unavailable',
      `${host} cannot be looked up: DNS did not answer within ${lookUpMs / second} s`,
    );
  }
}

/** Tries the addresses of a name one after the other, as the system orders them. */
async function dialAny(addresses: readonly string[], port: number, options: DialOptions): Promise<Socket> {
  let failure: unknown = new Error('the name has no address');
  for (const host of addresses) {
    try {
      return await dialAs({ host, port }, options);
    } catch (e) {
      failure = e;
    }
    if (options.signal.aborted) break;
  }
  throw failure;
}

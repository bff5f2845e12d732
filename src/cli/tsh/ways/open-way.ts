import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { attempt, dialOut, dialUpgraded, type Outlet } from '../../../base/dial-out.ts';
import { dialAnybody, dialTls } from '../../../base/dial-tls.ts';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { type Environment, forwardProxyFor, type Purpose } from '../../../base/forward-proxy.ts';
import { sshProtocol } from '../../../base/relay-protocol.ts';
import { formatHostPort, type HostPort } from '../../../base/service.ts';
import { webAuthorities } from '../login/trust.ts';
import { type ProxyPlaces, upgradePath, type WayKind } from './way.ts';

/** What a way needs besides the addresses. */
export interface WayMeans {
  readonly env: Environment;
  /** The certificate of the web port is not checked. */
  readonly insecure: boolean;
}

/** With it every identification of an SSH client or server begins. Source: RFC 4253, 4.2. */
const beginning = Buffer.from('SSH-2.0-');
const greeting = Buffer.from('SSH-');
/** Lines that a server may send before. Source: RFC 4253, 4.2. */
const mostBefore = 8 * 1024;

/**
 * A connection on which an SSH server has greeted, with everything that it sent still to be read. Whoever
 * gets it begins to speak SSH, as on a new connection.
 * @throws CodedError `unavailable`, `misconfigured` with the reason; it ends soon after `signal` is
 * aborted.
 */
export async function openWay(
  kind: WayKind,
  to: WayMeans & { readonly places: ProxyPlaces },
  signal: AbortSignal,
): Promise<Duplex> {
  let stream: Duplex | undefined;
  try {
    stream = await dial(kind, to.places, to, signal);
    // A port that serves several protocols waits for the client to show which one it means.
    if (kind === 'web' || kind === 'web-upgrade') beginEarly(stream);
    await greeted(stream, signal);
    return stream;
  } catch (e) {
    stream?.destroy();
    if (e instanceof CodedError) throw e;
    throw new CodedError('unavailable', messageOf(e), { cause: e });
  }
}

/** An HTTP proxy by which the environment wants this place to be reached. */
export function outletFor(address: HostPort, purpose: Purpose, env: Environment): Outlet {
  const through = forwardProxyFor(env, address, purpose);
  return through === undefined
    ? { through }
    : { through, authorities: () => webAuthorities(through.host, env) };
}

async function dial(
  kind: WayKind,
  { ssh, web }: ProxyPlaces,
  { env, insecure }: WayMeans,
  signal: AbortSignal,
): Promise<Duplex> {
  switch (kind) {
    case 'port':
      return dialOut(ssh, outletFor(ssh, 'raw', env), signal);
    case 'web':
      return dialOut(web, outletFor(web, 'raw', env), signal);
    case 'web-tls':
      return withinTls(web, { env, insecure }, signal);
    case 'web-upgrade':
      return dialUpgraded(
        {
          url: new URL(upgradePath, `https://${formatHostPort(web)}`),
          protocol: 'teleport',
          check: insecure
            ? { status: 'unchecked' }
            : { status: 'checked', ca: webAuthorities(web.host, env) },
          outlet: outletFor(web, 'https', env),
        },
        signal,
      );
  }
}

async function withinTls(web: HostPort, { env, insecure }: WayMeans, signal: AbortSignal): Promise<Duplex> {
  const socket = await dialOut(web, outletFor(web, 'raw', env), signal);
  const options = {
    socket,
    host: web.host,
    ALPNProtocols: [sshProtocol],
    ...(isIP(web.host) === 0 && { servername: web.host }),
  };
  const tls = insecure
    ? dialAnybody(options)
    : dialTls({ ...options, ca: [...webAuthorities(web.host, env)] });
  return attempt(
    signal,
    (e) => tls.destroy(e),
    (give, fail) => {
      tls.once('error', fail);
      tls.once('secureConnect', () => {
        tls.off('error', fail);
        if (tls.alpnProtocol === sshProtocol) {
          give(tls);
          return;
        }
        tls.on('error', () => tls.destroy());
        tls.destroy();
        fail(new CodedError('unavailable', 'what ends TLS there does not know SSH'));
      });
    },
  );
}

/** Sends what any client begins with, and leaves it out of what the client then sends. */
function beginEarly(stream: Duplex): void {
  stream.write(beginning);
  const write = stream.write.bind(stream) as (chunk: unknown, ...rest: unknown[]) => boolean;
  let held = Buffer.alloc(0);
  const first = (chunk: unknown, ...rest: unknown[]): boolean => {
    held = Buffer.concat([held, Buffer.from(chunk as Buffer)]);
    if (held.length < beginning.length) {
      const done = rest.findLast((one) => typeof one === 'function') as (() => void) | undefined;
      if (done !== undefined) process.nextTick(done);
      return true;
    }
    stream.write = write as Duplex['write'];
    const done = rest.filter((one) => typeof one === 'function');
    if (!held.subarray(0, beginning.length).equals(beginning)) {
      stream.destroy(new CodedError('bad_request', 'what is sent there is not SSH 2'));
      return false;
    }
    return write(held.subarray(beginning.length), ...done);
  };
  stream.write = first as Duplex['write'];
}

/** Resolves when the other end has sent what only an SSH server sends. */
async function greeted(stream: Duplex, signal: AbortSignal): Promise<void> {
  let came = Buffer.alloc(0);
  let release = (): void => undefined;
  try {
    await attempt(
      signal,
      () => stream.destroy(),
      (give, fail) => {
        const gone = (): void => {
          fail(new CodedError('unavailable', 'it closed the connection before it said anything of SSH'));
        };
        const read = (): void => {
          for (
            let part = stream.read() as Buffer | null;
            part !== null;
            part = stream.read() as Buffer | null
          )
            came = Buffer.concat([came, part]);
          const at = came.indexOf(greeting);
          if (at === 0 || (at > 0 && came[at - 1] === 0x0a)) give(stream);
          else if (came.toString('latin1', 0, 5).startsWith('HTTP/') || came.length > mostBefore)
            fail(new CodedError('unavailable', 'what answers there is not SSH'));
        };
        release = () => {
          stream.off('readable', read).off('end', gone).off('close', gone).off('error', fail);
        };
        stream.on('readable', read).on('end', gone).on('close', gone).on('error', fail);
      },
    );
  } finally {
    release();
  }
  stream.unshift(came);
}

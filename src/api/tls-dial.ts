import type { X509Certificate } from 'node:crypto';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import { dialAnybody, dialTls } from '../base/dial-tls.ts';
import { CodedError } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { tlsPolicy } from '../base/tls-policy.ts';
import { relayProtocol } from '../base/relay-protocol.ts';
import { protocols } from './beats.ts';
import type { Dialable } from './dial-servers.ts';
import { NoAnswerInTime, TurnedAway } from './no-answer.ts';

/** How a server is reached that cannot be dialled: by way of a proxy, which passes on what it cannot read. */
export type OpenThrough = (server: HostPort, signal: AbortSignal) => Promise<Duplex>;

/** What a TLS client presents and trusts. Without `key` and `cert` it is `anyone`. */
export interface TlsMaterial {
  readonly key?: string;
  readonly cert?: string;
  /** Host authorities of the cluster: nothing else is trusted. */
  readonly ca: readonly string[];
  /** The name that the server's certificate must contain. */
  readonly serverName: string;
}

/**
 * The name in every auth server's certificate, whatever its address.
 * Source: reference 4.4, auth API.
 */
export const authServerName = 'teleport.cluster.local';

/** Proxies have the auth server's name in their certificates as well, but must not be taken for one. */
function isAuthServer(socket: TLSSocket): boolean {
  // A certificate may have no subject at all.
  const subject = socket.getPeerCertificate().subject as { O?: string | string[] } | undefined;
  return [subject?.O].flat().some((role) => role === 'Auth' || role === 'Admin');
}

/**
 * Reading keys and certificates takes as long as half a handshake, so it is done once for a frequent caller.
 */
const contexts = new WeakMap<TlsMaterial, SecureContext>();

function contextOf(tls: TlsMaterial): SecureContext {
  const known = contexts.get(tls);
  if (known !== undefined) return known;
  const made = createSecureContext({
    ca: [...tls.ca],
    ...tlsPolicy,
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
  });
  contexts.set(tls, made);
  return made;
}

/**
 * The newest session with one server that was found to be an auth server: with it a connection is opened
 * without sending and checking certificates again.
 */
interface Resumption {
  session?: Buffer;
  /** What the server showed when the session began. */
  shown?: X509Certificate;
}

/** By connection: on one that resumes a session the runtime does not tell. */
const shownOn = new WeakMap<Duplex, X509Certificate>();

/** The certificate on which the trust in the server at the other end rests; undefined without TLS. */
export const certificateShownOn = (stream: Duplex): X509Certificate | undefined => shownOn.get(stream);

/**
 * TLS over a stream that is open already. Rejects, and destroys the stream, when the handshake fails.
 * @param resumption of the same server and the same material, since it stands for what both proved then. A
 *   server that does not know the session (it was restarted, or its authorities changed) asks for
 *   certificates as if there were none.
 */
export async function secure(
  stream: Duplex,
  tls: TlsMaterial,
  signal: AbortSignal,
  resumption: Resumption = {},
  offered: readonly string[] = protocols,
): Promise<TLSSocket> {
  const { session } = resumption;
  const keep = (newer: Buffer): void => {
    resumption.session = newer;
  };
  try {
    const dial = (): TLSSocket =>
      dialTls({
        socket: stream,
        servername: tls.serverName,
        ALPNProtocols: [...offered],
        secureContext: contextOf(tls),
        ...(session === undefined ? {} : { session }),
      });
    const socket = await handshake(stream, dial, signal, keep);
    const shown = socket.getPeerX509Certificate() ?? resumption.shown;
    if (shown !== undefined) {
      resumption.shown = shown;
      shownOn.set(socket, shown);
    }
    return socket;
  } catch (e) {
    // After any failure the next handshake starts without a session.
    delete resumption.session;
    throw e;
  }
}

/** By the alert `user_canceled` (`base/handshake-gate.ts`), as the runtime names it. */
const isTurnedAwayAlert = (e: Error): boolean =>
  'code' in e && e.code === 'ERR_SSL_TLSV1_ALERT_USER_CANCELLED';

function handshake(
  stream: Duplex,
  dial: () => TLSSocket,
  signal: AbortSignal,
  onSession: (session: Buffer) => void = () => undefined,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = dial();
    const fail = (e: Error): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      stream.destroy();
      reject(isTurnedAwayAlert(e) ? new TurnedAway({ cause: e }) : e);
    };
    const onAbort = (): void => {
      fail(new NoAnswerInTime());
    };
    const onClose = (): void => {
      fail(new CodedError('unavailable', 'the connection was closed during the TLS handshake'));
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort);
    // The stream has the reason for a TCP failure; TLS only sees the end. The listener stays, for late errors
    // of the socket.
    stream.on('error', fail);
    socket.once('error', fail);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      // A session can only be resumed by whoever had it before; certificates are not sent again.
      if (!socket.isSessionReused() && !isAuthServer(socket)) {
        const whose = socket.authorized ? 'the server is of this cluster, but it' : 'the server';
        fail(new CodedError('unavailable', `${whose} is not an auth server`));
        return;
      }
      signal.removeEventListener('abort', onAbort);
      socket.off('error', fail);
      socket.off('close', onClose);
      socket.on('session', onSession);
      resolve(socket);
    });
  });
}

/**
 * A server at a TCP address. Connections after the first with the same material resume its TLS session.
 * @param material a function is asked at each connection.
 */
export function tlsServer(
  address: HostPort,
  material: TlsMaterial | (() => TlsMaterial),
  through?: OpenThrough,
): Dialable {
  const resumptions = new WeakMap<TlsMaterial, Resumption>();
  return {
    name: formatHostPort(address),
    connect: async (signal) => {
      const stream = await (through ?? tcpTo)(address, signal);
      const tls = typeof material === 'function' ? material() : material;
      const resumption = resumptions.get(tls) ?? {};
      resumptions.set(tls, resumption);
      return secure(stream, tls, signal, resumption, offeredBy(through));
    },
  };
}

/**
 * A server whose certificate nobody checks: for reading what is then checked by other means (a pin). Whatever
 * is sent there may reach an attacker, so never send a secret.
 */
export const unverifiedServer = (address: HostPort, through?: OpenThrough): Dialable => ({
  name: formatHostPort(address),
  connect: async (signal) => {
    const stream = await (through ?? tcpTo)(address, signal);
    return handshake(
      stream,
      () =>
        dialAnybody({ socket: stream, servername: authServerName, ALPNProtocols: [...offeredBy(through)] }),
      signal,
    );
  },
});

const offeredBy = (through: OpenThrough | undefined): readonly string[] =>
  through === undefined ? protocols : [...protocols, relayProtocol];

/** A server at that address, or behind a proxy there, which passes the connection on. */
export const serverOrProxy: OpenThrough = (address, signal) => tcpTo(address, signal);

function tcpTo({ host, port }: HostPort, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 });
    const give = (e: Error): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(e);
    };
    const onAbort = (): void => {
      give(new NoAnswerInTime());
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort);
    socket.once('error', give);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', give);
      resolve(socket);
    });
  });
}

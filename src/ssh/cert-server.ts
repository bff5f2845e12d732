import { totalmem } from 'node:os';
import type { Duplex } from 'node:stream';
import { Socket } from 'node:net';
import type { Connection, Server } from 'ssh2';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { minute } from '../base/duration.ts';
import { seldom } from '../base/seldom.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import { WireError } from '../pki/wire.ts';
import { defaultAlgorithms, forSsh2, signatureAlgorithms } from './algorithms.ts';
import { bindHostKeys, forConnection, prepareHostKeys, type HostKey } from './host-keys.ts';
import { LoginAttempts } from './login-attempts.ts';
import { greetedPeer, peerOf } from './peer-of.ts';
import { WindowPool, windowLimits } from './receive-window.ts';
import { ServerConnection } from './server-connection.ts';
import { serverName } from './server-banner.ts';
import { UnexpectedHeader } from './proxy-preamble.ts';
import { greetClient, type Greeting } from './server-greeting.ts';
import type { AcceptOptions, SshServer, SshServerOptions } from './server-options.ts';
import type { ConnectionHandlers, Peer, SshConnection } from './server-types.ts';
import { disconnectReason, SshTransport } from './ssh-transport.ts';
import { overSocket } from './packet-protocol.ts';
import { ssh2 } from './ssh2-library.ts';
import {
  announceSignatureAlgorithms,
  exchangeUnderBanner,
  peerBannerOf,
  protoOf,
  socketOf,
} from './ssh2-internals.ts';
import { useHybridExchange } from './hybrid-negotiation.ts';

export type { HostKey } from './host-keys.ts';
export type * from './server-options.ts';
export type * from './server-types.ts';

/**
 * Per connection. As many as a stock sshd has, whose process may open 1024 files; further ones are refused.
 */
export const maxChannels = 1024;

/** One socket, from accept to close. */
interface Attempt {
  readonly socket: Duplex;
  /** Our own identification line; empty before it is sent. */
  banner: string;
  peer: Peer;
  readonly closed: Promise<void>;
  /** Ends it with DISCONNECT when it got that far. */
  close: (reason: string) => void;
  loggedIn(): void;
}

/**
 * An SSH server that admits certificates only. It does not listen: feed it sockets through `accept`.
 * @throws CodedError `misconfigured` when a host certificate does not match its key.
 */
export function createSshServer(
  options: SshServerOptions,
  onConnection: (connection: SshConnection) => ConnectionHandlers,
): SshServer {
  return new CertServer(options, onConnection);
}

class CertServer implements SshServer {
  readonly #options: SshServerOptions;
  readonly #onConnection: (connection: SshConnection) => ConnectionHandlers;
  readonly #ssh2: Server;
  readonly #attempts = new Map<Duplex, Attempt>();
  readonly #connections = new Set<ServerConnection>();
  #hostKeys: ReturnType<typeof prepareHostKeys>;
  readonly #windows: WindowPool;
  #draining = false;
  #nextId = 1;
  readonly #tellDisbelief: ReturnType<typeof seldom>;

  constructor(options: SshServerOptions, onConnection: (connection: SshConnection) => ConnectionHandlers) {
    this.#options = options;
    this.#onConnection = onConnection;
    this.#tellDisbelief = seldom(options.sink, () => performance.now());
    this.#hostKeys = prepareHostKeys(options.hostKeys);
    this.#windows = new WindowPool(windowLimits(ownMemory(), options.windowBytes ?? 2 * 1024 * 1024));
    this.#ssh2 = new ssh2.Server({
      ident: serverName, // what ssh2 writes first, and `greetClient` drops
      // Parsed keys pass, the types do not say so.
      hostKeys: forConnection(this.#hostKeys).map((key) => ({ key })),
      algorithms: forSsh2(options.algorithms ?? defaultAlgorithms) as never, // names not in the types
      keepaliveInterval: 2 ** 31 - 1, // ours is in SshTransport; ssh2's cannot be turned off
    });
    this.#ssh2.on('connection', (connection) => {
      this.#serve(connection);
    });
  }

  accept(socket: Duplex, accept: AcceptOptions = {}): void {
    socket.on('error', (e) => {
      this.#options.sink.debug('ssh socket failed', { reason: messageOf(e) }); // `close` follows
    });
    if (this.#draining || socket.destroyed) {
      socket.destroy();
      return;
    }
    if (socket instanceof Socket) socket.setNoDelay(true);
    const closed = new Promise<void>((resolve) => {
      socket.once('close', resolve);
    });
    const peer = peerOf(socket, accept.remoteAddress);
    const { socketAddress } = peer;
    const grace = startTimer(() => {
      this.#options.sink.debug('ssh login took too long', { peer: socketAddress });
      socket.destroy();
    }, this.#options.loginGraceMs ?? minute);
    const attempt: Attempt = {
      socket,
      banner: '',
      peer,
      closed,
      close: () => socket.destroy(),
      loggedIn: () => {
        stopTimer(grace);
        if (socket instanceof Socket) accept.strangers?.recognised(socket);
      },
    };
    this.#attempts.set(socket, attempt);
    socket.once('close', () => {
      stopTimer(grace);
      this.#attempts.delete(socket);
    });
    greetClient(socket, accept.doubtAboutClient)
      .then((greeting) => {
        if (socket.destroyed) return;
        this.#begin(attempt, greeting, accept);
        overSocket(socket, () => {
          this.#ssh2.injectSocket(socket as never); // any Duplex does
        });
      })
      .catch((e: unknown) => {
        if (!isCoded(e)) this.#options.sink.error('ssh connection failed', { reason: messageOf(e) });
        else if (isCoded(e, 'access_denied'))
          this.#tellDisbelief('ssh connection refused', { reason: e.message, peer: socketAddress });
        if (e instanceof UnexpectedHeader && socket instanceof Socket)
          accept.strangers?.broughtHeader(socket);
        socket.destroy();
      });
  }

  /** The client's SSH begins. */
  #begin(attempt: Attempt, greeting: Greeting, accept: AcceptOptions): void {
    attempt.banner = greeting.banner;
    attempt.peer = greetedPeer(attempt.peer, greeting);
    const { believedAddress } = greeting;
    if (believedAddress !== undefined && attempt.socket instanceof Socket)
      accept.strangers?.comesFrom(attempt.socket, believedAddress.host);
  }

  setHostKeys(hostKeys: readonly HostKey[]): void {
    const prepared = prepareHostKeys(hostKeys);
    const offered = new Set(prepared.map((key) => key.algorithm));
    if (
      this.#hostKeys.length !== prepared.length ||
      this.#hostKeys.some((key) => !offered.has(key.algorithm))
    )
      throw new CodedError('misconfigured', 'new host keys must be of the same types as the old');
    this.#hostKeys = prepared;
  }

  connections(): readonly SshConnection[] {
    return [...this.#connections];
  }

  drain(): void {
    this.#draining = true;
  }

  async closeConnections(reason: string): Promise<void> {
    const attempts = [...this.#attempts.values()];
    for (const attempt of attempts) attempt.close(reason);
    await Promise.all(attempts.map((attempt) => attempt.closed));
  }

  #serve(ssh: Connection): void {
    const fault = (e: unknown): void => {
      if (e instanceof WireError)
        this.#options.sink.debug('ssh client broke the protocol', { reason: e.message });
      else
        this.#options.sink.error('ssh connection failed', {
          reason: messageOf(e),
          stack: (e as Error).stack,
        });
    };
    ssh.on('error', (e) => {
      // The peer's doing; it is closed.
      this.#options.sink.debug('ssh connection broke', { reason: messageOf(e) });
    });
    const attempt = this.#attempts.get(socketOf(ssh));
    if (attempt === undefined) {
      socketOf(ssh).destroy();
      return;
    }
    const protocol = protoOf(ssh);
    exchangeUnderBanner(protocol, attempt.banner);
    bindHostKeys(protocol, this.#hostKeys);
    useHybridExchange(protocol);
    const announce = announceSignatureAlgorithms(protocol, signatureAlgorithms);
    const keepAlive = this.#options.keepAlive?.() ?? { intervalMs: 5 * minute, countMax: 3 };
    const transport = new SshTransport({
      protocol,
      socket: attempt.socket,
      keepaliveMs: keepAlive.intervalMs,
      keepaliveCountMax: keepAlive.countMax,
      rekeyBytes: this.#options.rekeyBytes,
      onFault: fault,
    });
    attempt.close = (reason) => {
      transport.close(reason);
    };
    const logins = this.#judge(ssh, attempt, transport, fault);
    let exchanges = 0;
    ssh.on('handshake', () => {
      exchanges += 1;
      announce();
      transport.keysRenewed();
      // A key exchange before the login only serves to waste our time.
      if (exchanges > 1 && logins.accepted === undefined)
        transport.close('too early', disconnectReason.protocolError);
    });
  }

  #judge(
    ssh: Connection,
    attempt: Attempt,
    transport: SshTransport,
    onFault: (e: unknown) => void,
  ): LoginAttempts {
    const { userAuthorities, openLogin, now, authorize, nameOf, onAuthFailure, maxAuthAttempts } =
      this.#options;
    const logins = new LoginAttempts({
      peer: attempt.peer,
      maxFailures: maxAuthAttempts ?? 6,
      ...{ userAuthorities, openLogin },
      now,
      authorize,
      nameOf,
      onAuthFailure,
      onFault,
      giveUp: () => {
        transport.close('too many authentication failures', disconnectReason.noMoreAuthMethods);
      },
    });
    ssh.on('authentication', (ctx) => {
      logins.judge(ctx);
    });
    ssh.once('ready', () => {
      try {
        this.#open(ssh, attempt, transport, logins);
      } catch (e) {
        onFault(e);
        transport.close('internal error');
      }
    });
    attempt.socket.once('close', () => {
      logins.ended();
    });
    return logins;
  }

  #open(ssh: Connection, attempt: Attempt, transport: SshTransport, logins: LoginAttempts): void {
    const login = logins.accepted;
    if (login === undefined) throw new Error('ready without a login');
    attempt.loggedIn();
    const connection = new ServerConnection({
      ...login,
      id: this.#nextId++,
      peer: attempt.peer,
      clientVersion: peerBannerOf(protoOf(ssh)),
      transport,
      maxChannels: this.#options.maxChannels ?? maxChannels,
      windows: this.#windows.connection(),
      closed: attempt.closed,
      answers: {
        version: this.#options.version,
        recordsAtProxy: this.#options.recordsAtProxy ?? (() => false),
      },
    });
    this.#connections.add(connection);
    attempt.socket.once('close', () => this.#connections.delete(connection));
    connection.serve(this.#onConnection(connection));
    transport.start(connection.layer);
    const at = this.#options.disconnectAt?.(login.certificate);
    if (at !== undefined) this.#endAt(at, connection);
  }

  /**
   * Closes `connection` at a given time, by our clock; checks again when the wait is over, since the clock
   * may have been set.
   */
  #endAt(at: bigint, connection: ServerConnection): void {
    const leftMs = Number(at - this.#options.now()) * 1000;
    if (leftMs <= 0) {
      connection.close('the certificate has expired');
      return;
    }
    const timer = startTimer(() => {
      this.#endAt(at, connection);
    }, leftMs);
    void connection.closed.then(() => {
      stopTimer(timer);
    });
  }
}

/** Memory that this process may use: of the machine, or of its container. */
const ownMemory = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

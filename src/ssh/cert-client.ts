import net from 'node:net';
import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import { second } from '../base/duration.ts';
import { signalAfter } from '../base/timers.ts';
import {
  certificateAlgorithms,
  defaultAlgorithms,
  forSsh2,
  signatureAlgorithms,
  type SshAlgorithms,
} from './algorithms.ts';
import type { SshChannel } from './channel-types.ts';
import { ClientConnection } from './client-connection.ts';
import type { SshClient } from './client-types.ts';
import { HostCheck, type HostPolicy } from './host-check.ts';
import type { Identity } from './identity.ts';
import { LoginOffers } from './login-offers.ts';
import { overSocket } from './packet-protocol.ts';
import { SshTransport } from './ssh-transport.ts';
import { ssh2 } from './ssh2-library.ts';
import {
  allowAlgorithms,
  onDisconnectText,
  onEachKeyExchange,
  peerBannerOf,
  protoOf,
  refuseBeforeTrust,
  type KeyExchange,
  type Protocol,
} from './ssh2-internals.ts';
import { useHybridExchange } from './hybrid-negotiation.ts';

export type { UnknownHost } from './host-check.ts';
export { keyIdentity, type Identity } from './identity.ts';
export type * from './client-types.ts';

export interface SshClientOptions extends HostPolicy {
  readonly target: HostPort | { readonly stream: Duplex };
  readonly username: string;
  /** Tried in order, certificates first. A function is called once, when the server asks for a login. */
  readonly identities: readonly Identity[] | (() => Promise<readonly Identity[]>);
  /** Aborting closes the connection, before or after it is ready. */
  readonly signal?: AbortSignal;
  /**
   * Connecting, handshake and login together, including the questions of `acceptUnknownHost`; default 30 s.
   */
  readonly readyTimeoutMs?: number;
  /** Default 0: off. */
  readonly keepaliveMs?: number;
  /** Unanswered keepalives before the connection is given up; default 3. */
  readonly keepaliveCountMax?: number;
  /**
   * What the server may send ahead of our reader, per channel; default 8 MiB, enough for 50 ms of latency at
   * 160 MB/s.
   */
  readonly windowBytes?: number;
  readonly algorithms?: SshAlgorithms;
  /**
   * Host key algorithms, best first; default all certificates, and plain keys when `acceptUnknownHost` is
   * given.
   */
  readonly hostKeyAlgorithms?: readonly string[];
  /** Bytes in both directions before the keys are renewed; default 1 GiB. */
  readonly rekeyBytes?: number;
  /** Serves channels that the server opens to our agent, after a session asked for `agentForwarding`. */
  readonly onAgentChannel?: (channel: SshChannel) => void;
  /** Global requests of the server that we do not handle ourselves (`x-teleport-event`). */
  readonly onNotice?: (name: string, payload: Buffer) => void;
}

allowAlgorithms({ hostKeys: certificateAlgorithms });

/**
 * Connects and logs in.
 * @throws CodedError `unavailable` (not reachable, timed out, broken off), `access_denied` (host not trusted,
 *   or login refused); the message begins with `handshake failed: ` when SSH itself was refused.
 */
export async function connectSsh(options: SshClientOptions): Promise<SshClient> {
  const { target, signal } = options;
  if (signal?.aborted === true) throw aborted();
  const timeoutMs = options.readyTimeoutMs ?? 30 * second;
  const deadline = signalAfter(timeoutMs);
  const until = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
  const whyStopped = (): CodedError =>
    signal?.aborted === true
      ? aborted()
      : new CodedError('unavailable', `handshake failed: no answer within ${timeoutMs / 1000} seconds`);
  const socket = 'stream' in target ? target.stream : await dial(target, until, whyStopped);
  if (socket.destroyed) throw new CodedError('unavailable', 'handshake failed: the stream is closed');
  return new Handshake(options, socket).run(until, whyStopped);
}

const aborted = (): CodedError => new CodedError('unavailable', 'the connection was cancelled');

function dial(target: HostPort, until: AbortSignal, whyStopped: () => CodedError): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const socket = net.connect({ host: target.host, port: target.port, noDelay: true });
  const stop = (): void => {
    socket.destroy();
    reject(whyStopped());
  };
  until.addEventListener('abort', stop);
  socket.once('connect', () => {
    until.removeEventListener('abort', stop);
    socket.removeAllListeners('error');
    resolve(socket);
  });
  socket.once('error', (e) => {
    until.removeEventListener('abort', stop);
    reject(new CodedError('unavailable', `cannot connect to ${formatHostPort(target)}: ${messageOf(e)}`));
  });
  return promise;
}

/** From a connected stream to a connection that is logged in. */
class Handshake {
  readonly #options: SshClientOptions;
  readonly #socket: Duplex;
  readonly #ssh = new ssh2.Client();
  readonly #host: HostCheck;
  readonly #offers: LoginOffers;
  readonly #negotiated = new WeakMap<KeyExchange, string>();
  #protocol: Protocol | undefined;
  /** The first error: later ones are only its consequences. */
  #fault: Error | undefined;
  #offered = false;

  constructor(options: SshClientOptions, socket: Duplex) {
    this.#options = options;
    this.#socket = socket;
    this.#host = new HostCheck(options);
    const { identities } = options;
    this.#offers = new LoginOffers(
      () => this.#proto(),
      typeof identities === 'function' ? identities : () => Promise.resolve(identities),
    );
  }

  run(until: AbortSignal, whyStopped: () => CodedError): Promise<SshClient> {
    const { promise, resolve, reject } = Promise.withResolvers<SshClient>();
    const { promise: closed, resolve: setClosed } = Promise.withResolvers<Error | undefined>();
    const stop = (): void => {
      this.#fault ??= whyStopped();
      this.#socket.destroy();
    };
    until.addEventListener('abort', stop);
    this.#socket.on('error', (e) => {
      this.#fault ??= e;
    });
    this.#ssh.on('error', (e) => {
      if ((e as { level?: string }).level !== 'agent') this.#fault ??= e; // agent: LoginOffers keeps it
    });
    const transport = this.#connect();
    onDisconnectText(this.#proto(), (text) => {
      if (text !== '')
        this.#fault ??= new CodedError('unavailable', `the server closed the connection: ${text}`);
    });
    this.#socket.once('close', () => {
      until.removeEventListener('abort', stop);
      if (!transport.endedHere)
        this.#fault ??= new CodedError('unavailable', 'the server closed the connection');
      setClosed(this.#fault);
      reject(this.#explain());
    });
    this.#ssh.once('ready', () => {
      until.removeEventListener('abort', stop);
      const { signal } = this.#options;
      const cancel = (): void => {
        transport.close('');
      };
      signal?.addEventListener('abort', cancel);
      void closed.then(() => signal?.removeEventListener('abort', cancel));
      const client = new ClientConnection({
        hostCertificate: this.#host.certificate,
        serverVersion: peerBannerOf(this.#proto()),
        transport,
        windowBytes: this.#options.windowBytes ?? 8 * 1024 * 1024,
        closed,
        onAgentChannel: this.#options.onAgentChannel,
        onNotice: this.#options.onNotice,
      });
      transport.start(client.layer);
      resolve(client);
    });
    if (until.aborted) stop();
    return promise;
  }

  #proto(): Protocol {
    return (this.#protocol ??= protoOf(this.#ssh));
  }

  #connect(): SshTransport {
    const { acceptUnknownHost, algorithms, hostKeyAlgorithms, username } = this.#options;
    const plain = acceptUnknownHost === undefined ? [] : signatureAlgorithms;
    overSocket(this.#socket, () => {
      this.#ssh.connect({
        sock: this.#socket, // any Duplex does
        username,
        ident: 'Teleport',
        readyTimeout: 0, // ours includes dialling
        keepaliveInterval: 0, // ours is in SshTransport
        algorithms: {
          ...forSsh2(algorithms ?? defaultAlgorithms),
          serverHostKey: hostKeyAlgorithms ?? [...certificateAlgorithms, ...plain],
        } as never, // names that are not in the types
        hostVerifier: (shown: Buffer, done: (ok: boolean) => void) => {
          this.#verifyHost(shown, done);
        },
        authHandler: ((_methods: unknown, _partial: unknown, next: (method: unknown) => void) => {
          const first = !this.#offered;
          this.#offered = true;
          next(first ? { type: 'agent', username, agent: this.#offers } : false);
        }) as never,
      });
    });
    const protocol = this.#proto();
    useHybridExchange(protocol);
    onEachKeyExchange(protocol, (kex) => {
      const algorithm = kex.negotiated.serverHostKey;
      this.#negotiated.set(kex, algorithm);
      // ssh2 compares this name with the type in the blob, which for RSA certificates is another by design.
      if (/^rsa-sha2-.*-cert-/.test(algorithm)) kex.negotiated.serverHostKey = 'ssh-rsa-cert-v01@openssh.com';
    });
    const transport = new SshTransport({
      protocol,
      socket: this.#socket,
      keepaliveMs: this.#options.keepaliveMs ?? 0,
      keepaliveCountMax: this.#options.keepaliveCountMax ?? 3,
      rekeyBytes: this.#options.rekeyBytes,
      onFault: (e) => {
        this.#fault ??= new CodedError('unavailable', `the server broke the protocol: ${messageOf(e)}`, {
          cause: e,
        });
      },
    });
    refuseBeforeTrust(protocol, () => this.#host.accepted); // the last: looked at first
    this.#ssh.on('handshake', () => {
      transport.keysRenewed();
    });
    return transport;
  }

  #verifyHost(shown: Buffer, done: (ok: boolean) => void): void {
    const kex = this.#proto()._kex;
    const algorithm = kex === undefined ? undefined : this.#negotiated.get(kex);
    if (kex === undefined || algorithm === undefined) done(false);
    else this.#host.verify(kex, algorithm, shown, done);
  }

  /** Why there is no connection. */
  #explain(): CodedError {
    if (this.#host.refusal !== undefined) return this.#host.refusal;
    const fault = this.#fault;
    if (fault instanceof CodedError)
      return fault.message.startsWith('the server closed')
        ? new CodedError('unavailable', `handshake failed: ${fault.message}`)
        : fault;
    if (fault === undefined) return aborted();
    if ((fault as { level?: string }).level === 'client-authentication') return this.#loginRefused();
    return new CodedError(
      'unavailable',
      `handshake failed: ${fault.message.replace(/^Handshake failed: /, '')}`,
      {
        cause: fault,
      },
    );
  }

  #loginRefused(): CodedError {
    const { username } = this.#options;
    const what =
      this.#offers.size === 0
        ? 'there is no certificate to show'
        : `the server does not accept any of the keys and certificates shown for ${username}`;
    const troubles = this.#offers.troubles.length === 0 ? '' : ` (${this.#offers.troubles.join('; ')})`;
    return new CodedError('access_denied', `handshake failed: unable to authenticate: ${what}${troubles}`);
  }
}

import { CodedError } from '../base/errors.ts';
import { optionText } from '../pki/check-ssh-certificate.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { WireError } from '../pki/wire.ts';
import { ConnectionLayer, noData, type IncomingOpen } from './connection-layer.ts';
import type { SshChannel } from './channel-types.ts';
import { parseForward } from './connection-messages.ts';
import type { ConnectionWindows } from './receive-window.ts';
import type { ConnectionHandlers, Peer, Permits, SshConnection } from './server-types.ts';
import { serveSessionRequests } from './session-requests.ts';
import type { SshTransport } from './ssh-transport.ts';

/** What a user certificate allows. @throws WireError when force-command is not text. */
export function permitsOf(certificate: Certificate): Permits {
  return {
    pty: certificate.extensions.has('permit-pty'),
    portForwarding: certificate.extensions.has('permit-port-forwarding'),
    agentForwarding: certificate.extensions.has('permit-agent-forwarding'),
    forceCommand: optionText(certificate, 'force-command'),
  };
}

/** Our servers' replies to global requests. */
export interface GlobalAnswers {
  readonly version: string;
  readonly recordsAtProxy: () => boolean;
}

export interface ServerConnectionOptions {
  readonly id: number;
  readonly certificate: Certificate;
  readonly username: string;
  readonly peer: Peer;
  readonly clientVersion: string;
  readonly transport: SshTransport;
  readonly maxChannels: number;
  /** Of this connection. */
  readonly windows: ConnectionWindows;
  readonly closed: Promise<void>;
  readonly answers: GlobalAnswers;
}

/** One authenticated client, as the server's owner sees it. */
export class ServerConnection implements SshConnection {
  readonly id: number;
  readonly certificate: Certificate;
  readonly username: string;
  readonly permits: Permits;
  readonly peer: Peer;
  readonly clientVersion: string;
  readonly closed: Promise<void>;
  readonly layer: ConnectionLayer;
  readonly #options: ServerConnectionOptions;
  #handlers: ConnectionHandlers = {};
  #sessionsAllowed = true;
  #agentOffered = false;

  constructor(options: ServerConnectionOptions) {
    this.#options = options;
    this.id = options.id;
    this.certificate = options.certificate;
    this.username = options.username;
    this.permits = permitsOf(options.certificate);
    this.peer = options.peer;
    this.clientVersion = options.clientVersion;
    this.closed = options.closed;
    this.layer = new ConnectionLayer({
      transport: options.transport,
      maxChannels: options.maxChannels,
      openWindow: () => options.windows.open(),
      readsStderr: false,
      onOpen: (open) => {
        this.#onOpen(open);
      },
      onGlobalRequest: (name) => this.#onGlobalRequest(name),
    });
  }

  get wentSilent(): boolean {
    return this.#options.transport.gaveUp;
  }

  /** To be called once, before the first message is received. */
  serve(handlers: ConnectionHandlers): void {
    this.#handlers = handlers;
  }

  openAgent(): Promise<SshChannel> {
    if (!this.#agentOffered)
      return Promise.reject(new CodedError('access_denied', 'the client did not forward its agent'));
    return this.layer.openChannel('auth-agent@openssh.com', noData);
  }

  notify(name: string, payload: Buffer): void {
    this.layer.notify(name, payload);
  }

  close(reason: string): void {
    this.#options.transport.close(reason);
  }

  #onGlobalRequest(name: string): Buffer | undefined {
    const { answers } = this.#options;
    switch (name) {
      case 'keepalive@openssh.com':
        return noData;
      case 'x-teleport-version':
        return Buffer.from(answers.version);
      case 'recording-proxy@teleport.com':
        return Buffer.from(String(answers.recordsAtProxy()));
      case 'no-more-sessions@openssh.com':
        this.#sessionsAllowed = false;
        return noData;
      default:
        return undefined;
    }
  }

  #onOpen(open: IncomingOpen): void {
    if (open.channelType === 'session') this.#onSession(open);
    else if (open.channelType === 'direct-tcpip') this.#onForward(open);
    else open.reject('unknown_type', 'unknown channel type');
  }

  #onSession(open: IncomingOpen): void {
    const { session } = this.#handlers;
    if (session === undefined || !this.#sessionsAllowed) {
      open.reject('prohibited', 'no sessions here');
      return;
    }
    session({
      accept: (onRequest) => {
        const channel = open.accept();
        serveSessionRequests(channel, (request) => {
          if (request.type !== 'agent-forwarding') {
            onRequest(request);
            return;
          }
          onRequest({
            ...request,
            accept: () => {
              this.#agentOffered = true;
              request.accept();
            },
          });
        });
        return channel;
      },
      reject: (failure, message) => {
        open.reject(failure, message);
      },
    });
  }

  #onForward(open: IncomingOpen): void {
    const { forward } = this.#handlers;
    if (forward === undefined) {
      open.reject('prohibited', 'no forwarding here');
      return;
    }
    let asked: ReturnType<typeof parseForward>;
    try {
      asked = parseForward(open.data);
    } catch (e) {
      if (!(e instanceof WireError)) throw e;
      open.reject('connect_failed', 'malformed address');
      return;
    }
    forward({
      target: { host: asked.host, port: asked.port },
      originator: { host: asked.originHost, port: asked.originPort },
      accept: () => open.accept(),
      reject: (failure, message) => {
        open.reject(failure, message);
      },
    });
  }
}

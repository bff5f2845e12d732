import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { str } from '../pki/wire.ts';
import type { Channel } from './channel.ts';
import type { ExitStatus, SshChannel, WindowSize } from './channel-types.ts';
import type { ClientSession, SessionOptions, SshClient } from './client-types.ts';
import { ConnectionLayer, noData, type IncomingOpen } from './connection-layer.ts';
import { encodeModes, forwardData, parseExit, windowSize } from './connection-messages.ts';
import { maxPacketBytes } from './packet-frame.ts';
import { fixedWindow } from './receive-window.ts';
import type { SshTransport } from './ssh-transport.ts';

export interface ClientConnectionOptions {
  readonly hostCertificate: Certificate | undefined;
  readonly serverVersion: string;
  readonly transport: SshTransport;
  readonly windowBytes: number;
  readonly closed: Promise<Error | undefined>;
  readonly onAgentChannel: ((channel: SshChannel) => void) | undefined;
  readonly onNotice: ((name: string, payload: Buffer) => void) | undefined;
}

/** The largest message that OpenSSH and our servers accept, without its channel, its name and the padding. */
const MAX_REQUEST = maxPacketBytes.afterLogin - 1024;
/** More than a client ever opens; the server has its own limit. */
const MAX_CHANNELS = 4096;

/** A connection that is logged in. */
export class ClientConnection implements SshClient {
  readonly hostCertificate: Certificate | undefined;
  readonly serverVersion: string;
  readonly closed: Promise<Error | undefined>;
  readonly layer: ConnectionLayer;
  readonly #options: ClientConnectionOptions;
  #agentOffered = false;

  constructor(options: ClientConnectionOptions) {
    this.#options = options;
    this.hostCertificate = options.hostCertificate;
    this.serverVersion = options.serverVersion;
    this.closed = options.closed;
    this.layer = new ConnectionLayer({
      transport: options.transport,
      maxChannels: MAX_CHANNELS,
      openWindow: () => fixedWindow(options.windowBytes),
      readsStderr: true,
      onOpen: (open) => {
        this.#onOpen(open);
      },
      onGlobalRequest: (name, data) => {
        if (name === 'keepalive@openssh.com') return noData;
        options.onNotice?.(name, data);
        return undefined;
      },
    });
  }

  exec(command: string, options: SessionOptions = {}): Promise<ClientSession> {
    return this.#start('exec', str(command), options);
  }

  shell(options: SessionOptions = {}): Promise<ClientSession> {
    return this.#start('shell', noData, options);
  }

  subsystem(name: string, options: SessionOptions = {}): Promise<ClientSession> {
    return this.#start('subsystem', str(name), options);
  }

  forwardOut(target: HostPort, originator: HostPort = { host: '0.0.0.0', port: 0 }): Promise<SshChannel> {
    const data = forwardData(target.host, target.port, originator.host, originator.port);
    return this.layer.openChannel('direct-tcpip', data);
  }

  request(name: string, payload: Buffer = noData): Promise<Buffer | undefined> {
    return this.layer.globalRequest(name, payload);
  }

  close(): void {
    this.#options.transport.close('');
  }

  /**
   * All requests are sent at once: one round trip after the channel is open.
   * @throws CodedError `bad_request` for a request that no server accepts: it would end the connection.
   */
  async #start(name: string, data: Buffer, options: SessionOptions): Promise<ClientSession> {
    if (data.length > MAX_REQUEST)
      throw new CodedError(
        'bad_request',
        `the ${name} asked for is ${data.length} bytes long, SSH takes ${MAX_REQUEST}`,
      );
    const channel = await this.layer.openChannel('session', noData);
    const exit = exitOf(channel);
    for (const [key, value] of Object.entries(options.env ?? {}))
      channel.tell('env', Buffer.concat([str(key), str(value)]));
    if (options.agentForwarding === true) {
      this.#agentOffered = true;
      channel.tell('auth-agent-req@openssh.com', noData);
    }
    const { pty } = options;
    const asked = [
      pty === undefined
        ? Promise.resolve(true)
        : channel.request(
            'pty-req',
            Buffer.concat([str(pty.term), windowSize(pty.size), str(encodeModes(pty.modes ?? new Map()))]),
          ),
      channel.request(name, data),
    ];
    const [terminal, started] = await Promise.all(asked);
    if (started !== true) throw refusedStart(channel, `the server refused: ${name}`);
    if (terminal !== true) throw refusedStart(channel, 'the server refused a terminal');
    return {
      channel,
      exit,
      windowChange: (size: WindowSize) => {
        channel.tell('window-change', windowSize(size));
      },
      signal: (signal: string) => {
        channel.tell('signal', str(signal));
      },
      endOfWrite: () => channel.request('eow@openssh.com', noData),
    };
  }

  #onOpen(open: IncomingOpen): void {
    const { onAgentChannel } = this.#options;
    if (open.channelType === 'auth-agent@openssh.com' && this.#agentOffered && onAgentChannel !== undefined)
      onAgentChannel(open.accept());
    else open.reject('prohibited', 'not asked for');
  }
}

/** The server's last report about the command. */
function exitOf(channel: Channel): Promise<ExitStatus> {
  let exit: ExitStatus = { status: 'unknown' };
  channel.onRequest = (name, data, answer) => {
    const said = parseExit(name, data);
    exit = said ?? exit;
    answer(said !== undefined);
  };
  return channel.gone.then(() => exit);
}

/** Servers explain a refusal on stderr, before the failure itself. */
function refusedStart(channel: Channel, fallback: string): CodedError {
  const said: unknown = channel.stderr.read();
  channel.destroy();
  const text = Buffer.isBuffer(said) ? said.toString('utf8').trim() : '';
  return new CodedError('access_denied', text === '' ? fallback : text);
}

import type { HostPort } from '../base/service.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import type { ExitStatus, SshChannel, WindowSize } from './channel-types.ts';

export interface PtyOptions {
  readonly term: string;
  readonly size: WindowSize;
  readonly modes?: ReadonlyMap<number, number>;
}

export interface SessionOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly pty?: PtyOptions;
  readonly agentForwarding?: boolean;
}

/** A running remote command, shell or subsystem. Write to `channel` for stdin, read it for stdout. */
export interface ClientSession {
  readonly channel: SshChannel;
  /** Resolves when the channel is closed, with the server's last report. Never rejects. */
  readonly exit: Promise<ExitStatus>;
  windowChange(size: WindowSize): void;
  /** `name` without "SIG". */
  signal(name: string): void;
  /**
   * Tells the server that stdout is not read any more, so that the command gets an error when it writes.
   * False: the server ignores it.
   */
  endOfWrite(): Promise<boolean>;
}

export interface SshClient {
  /** Absent only when `acceptUnknownHost` let a plain key pass. */
  readonly hostCertificate: Certificate | undefined;
  /** As announced: SSH-2.0-OpenSSH_9.2 */
  readonly serverVersion: string;
  /** Resolves when the connection is gone; with the reason when it was not `close()`. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  /** @throws CodedError `access_denied` when the server refuses, with what it wrote to stderr. */
  exec(command: string, options?: SessionOptions): Promise<ClientSession>;
  shell(options?: SessionOptions): Promise<ClientSession>;
  subsystem(name: string, options?: SessionOptions): Promise<ClientSession>;
  /** Opens direct-tcpip. @throws CodedError `unavailable` with the server's message. */
  forwardOut(target: HostPort, originator?: HostPort): Promise<SshChannel>;
  /** Sends a global request. Returns the payload of success (perhaps empty), undefined for failure. */
  request(name: string, payload?: Buffer): Promise<Buffer | undefined>;
  /** Sends DISCONNECT and closes. */
  close(): void;
}

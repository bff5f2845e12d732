import type { Duplex } from 'node:stream';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import type { SigAlg } from '../pki/ssh-key.ts';
import type { ExitStatus, SshChannel, WindowSize } from './channel-types.ts';

/** A certificate or plain key to show, and the way to sign with it. See `keyIdentity` and `SshAgent.identities`. */
export interface Identity {
  readonly blob: Buffer;
  readonly comment: string;
  /** Answers an SSH signature blob of exactly this algorithm. */
  sign(algorithm: SigAlg, data: Buffer): Promise<Buffer>;
}

/** A host that the trusted authorities do not vouch for. */
export interface UnknownHost {
  /** Of the plain key, also when it came in a certificate. */
  readonly fingerprint: string;
  readonly keyBlob: Buffer;
  readonly certificate: Certificate | undefined;
  /** Why it is not trusted. */
  readonly reason: string;
}

export interface SshClientOptions {
  readonly target: HostPort | { readonly stream: Duplex };
  readonly username: string;
  /** Tried in order. A function is asked once, when the server wants authentication; a throw ends the connection. */
  readonly identities: readonly Identity[] | (() => Promise<readonly Identity[]>);
  /** Public key blobs of the trusted host authorities. */
  hostAuthorities(): Iterable<Buffer>;
  /** The host certificate must carry one of these names. */
  readonly hostPrincipals: readonly string[];
  /** Seconds since 1970. */
  now(): bigint;
  /** Asked about hosts that are not vouched for (the person at the keyboard, --insecure). Absent: refused. */
  readonly acceptUnknownHost?: (host: UnknownHost) => boolean | Promise<boolean>;
  /** Aborting closes the connection, before or after it is ready. */
  readonly signal?: AbortSignal;
  /** Connect, handshake and login together; default 30 s. */
  readonly readyTimeoutMs?: number;
  /** Default 0: off. */
  readonly keepaliveMs?: number;
  readonly keepaliveCountMax?: number;
  /** Serves channels that the server opens to our agent, after a session asked for `agentForwarding`. */
  readonly onAgentChannel?: (channel: SshChannel) => void;
  /** Global requests of the server that we do not answer ourselves (`x-teleport-event`). */
  readonly onNotice?: (name: string, payload: Buffer) => void;
}

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
  /** Resolves when the channel is closed, with what the server said last. Never rejects. */
  readonly exit: Promise<ExitStatus>;
  windowChange(size: WindowSize): void;
  /** `name` without "SIG". */
  signal(name: string): void;
}

export interface SshClient {
  /** Absent only when `acceptUnknownHost` let a plain key pass. */
  readonly hostCertificate: Certificate | undefined;
  /** As announced: SSH-2.0-Teleport */
  readonly serverVersion: string;
  /** Resolves when the connection is gone; with the reason when it was not `close()`. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  /** @throws CodedError `access_denied` when the server refuses, with what it wrote to stderr. */
  exec(command: string, options?: SessionOptions): Promise<ClientSession>;
  shell(options?: SessionOptions): Promise<ClientSession>;
  subsystem(name: string, options?: SessionOptions): Promise<ClientSession>;
  /** Opens direct-tcpip. @throws CodedError `unavailable` with the server's words. */
  forwardOut(target: HostPort, originator?: HostPort): Promise<SshChannel>;
  /** Sends a global request. Answers the payload of success (perhaps empty), undefined for failure. */
  request(name: string, payload?: Buffer): Promise<Buffer | undefined>;
  /** Sends DISCONNECT and closes. */
  close(): void;
}

/**
 * Connects and logs in.
 * @throws CodedError `unavailable` (not reachable, timed out, broken off), `access_denied` (host not trusted, or login
 * refused); the message begins with `handshake failed: ` when SSH itself was refused.
 */
export function connectSsh(options: SshClientOptions): Promise<SshClient> {
  void options;
  return Promise.reject(new CodedError('unavailable', 'the ssh client is not built yet'));
}

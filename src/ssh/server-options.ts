import type { Duplex } from 'node:stream';
import type { LogSink } from '../base/log-sink.ts';
import type { HostPort, Strangers } from '../base/service.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import type { SshAlgorithms } from './algorithms.ts';
import type { HostKey } from './host-keys.ts';
import type { DoubtAboutClient } from './server-greeting.ts';
import type { AuthFailure, Peer, SshConnection } from './server-types.ts';

export interface SshServerOptions {
  readonly hostKeys: readonly HostKey[];
  /** Public key blobs of the user authorities trusted now; read at every login. */
  readonly userAuthorities: () => Iterable<Buffer>;
  /** Seconds since 1970. */
  readonly now: () => bigint;
  /** A login that certificates need not name; `authorize` decides who may use it. Default: none. */
  readonly openLogin?: string;
  /** The final check after the certificate was found valid. Throws CodedError to refuse. */
  readonly authorize: (certificate: Certificate, username: string, peer: Peer) => void;
  /**
   * Whom a certificate that was found valid names, for the audit of what `authorize` refuses. Default: its
   * key id.
   */
  readonly nameOf?: (certificate: Certificate) => string;
  readonly onAuthFailure: (failure: AuthFailure) => void;
  /** Reply to `x-teleport-version`. */
  readonly version: string;
  readonly sink: LogSink;
  /** Reply to `recording-proxy@teleport.com`; default false. */
  readonly recordsAtProxy?: () => boolean;
  /** When to end the connection (seconds since 1970), or undefined for never; called once, at login. */
  readonly disconnectAt?: (certificate: Certificate) => bigint | undefined;
  readonly algorithms?: SshAlgorithms;
  /** From accept to a finished login; default 60 s. */
  readonly loginGraceMs?: number;
  /** Refused certificates per connection; default 6. */
  readonly maxAuthAttempts?: number;
  /** Channels open at once per connection; default `maxChannels` of cert-server.ts. */
  readonly maxChannels?: number;
  /**
   * What a client may send ahead of its reader, per channel, once it was read for a while and where there is
   * memory; default 2 MiB. 8 MiB suits connections with high latency.
   */
  readonly windowBytes?: number;
  /** Asked for each connection. Default: after 5 minutes, and 3 times. */
  readonly keepAlive?: () => KeepAlive;
  /** Bytes in both directions before the keys are renewed; default 1 GiB. */
  readonly rekeyBytes?: number;
}

/** When a silent client is asked whether it is there. */
export interface KeepAlive {
  /** 0 turns it off. */
  readonly intervalMs: number;
  /** Unanswered ones before the connection is closed. */
  readonly countMax: number;
}

export interface AcceptOptions {
  /** The client's true address when the caller knows better than the socket. */
  readonly remoteAddress?: HostPort;
  /**
   * If given, the banner asks proxies to sign the address of their client (see signed-client.ts), and an
   * invalid signature is refused. A preamble without a signature is removed from the stream and kept only as
   * `peer.claimedAddress`.
   */
  readonly doubtAboutClient?: DoubtAboutClient;
  /** Informed of the client's true address, of its login, and of a header that it may not send. */
  readonly strangers?: Strangers;
}

export interface SshServer {
  /** Serves one client. The banner is sent at once; the socket belongs to the server from here on. */
  accept(socket: Duplex, options?: AcceptOptions): void;
  /**
   * New connections use these. The set of key types must stay the same. @throws CodedError `misconfigured`
   */
  setHostKeys(hostKeys: readonly HostKey[]): void;
  /** Authenticated connections. */
  connections(): readonly SshConnection[];
  /** Accepts no new connection from here on; the old ones continue. */
  drain(): void;
  /** Closes every connection, authenticated or not. Resolves when no socket is left. */
  closeConnections(reason: string): Promise<void>;
}

import type { HostPort } from '../base/service.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import type { OpenFailure, ServerSessionChannel, SshChannel, WindowSize } from './channel-types.ts';

/** The addresses of one connection. */
export interface Peer {
  /** The client's true address: what a trusted proxy said, else the socket's. */
  readonly remoteAddress: HostPort;
  /** The other end of the socket: the proxy's own address when one stands between. */
  readonly socketAddress: HostPort;
  readonly localAddress: HostPort;
  /** What a preamble claimed, believed or not. */
  readonly claimedAddress: HostPort | undefined;
}

/**
 * What the certificate allows. Nothing of it is enforced by the protocol layer: whoever opens sessions must.
 */
export interface Permits {
  readonly pty: boolean;
  readonly portForwarding: boolean;
  readonly agentForwarding: boolean;
  /** Run this instead of whatever is asked for. */
  readonly forceCommand: string | undefined;
}

/**
 * A login that was refused, for the audit: its texts are cut (`base/unproved-text.ts`). The client gets
 * nothing but "failed".
 */
export interface AuthFailure {
  readonly username: string;
  /** From the certificate shown. Not proven when `reason` is about the certificate itself. */
  readonly keyId: string | undefined;
  readonly reason: string;
  readonly peer: Peer;
}

/** Each request is answered exactly once, by accept() or reject(); later calls do nothing. */
export interface Answer {
  accept(): void;
  /** `message` is written to the client's stderr first. */
  reject(message?: string): void;
}

/** What a client asks of a session channel, in the order it asks. Source: RFC 4254, 6. */
export type SessionRequest = Answer &
  (
    | { readonly type: 'env'; readonly name: string; readonly value: string }
    | {
        readonly type: 'pty';
        readonly term: string;
        readonly size: WindowSize;
        /** Opcode to value. Source: RFC 4254, 8. */
        readonly modes: ReadonlyMap<number, number>;
      }
    | { readonly type: 'window-change'; readonly size: WindowSize }
    | { readonly type: 'shell' }
    | { readonly type: 'exec'; readonly command: string }
    | { readonly type: 'subsystem'; readonly name: string }
    /** Signal name without "SIG". */
    | { readonly type: 'signal'; readonly name: string }
    | { readonly type: 'agent-forwarding' }
    /** The client no longer reads the output. Source: PROTOCOL of OpenSSH, 2.1. */
    | { readonly type: 'end-of-write' }
    | { readonly type: 'unknown'; readonly name: string }
  );

/** A client wants a session channel. */
export interface SessionOpen {
  /** Data the client sends early waits in the channel. `onRequest` is called for every request on it. */
  accept(onRequest: (request: SessionRequest) => void): ServerSessionChannel;
  reject(failure: OpenFailure, message: string): void;
}

/** A client wants to reach `target` through us (direct-tcpip). It may be answered later. */
export interface ForwardOpen {
  readonly target: HostPort;
  readonly originator: HostPort;
  accept(): SshChannel;
  reject(failure: OpenFailure, message: string): void;
}

/** What to do with what one authenticated client asks. What has no handler is refused. */
export interface ConnectionHandlers {
  readonly session?: (open: SessionOpen) => void;
  readonly forward?: (open: ForwardOpen) => void;
}

/** A client that proved who it is. */
export interface SshConnection {
  /** Unique in this process. */
  readonly id: number;
  readonly certificate: Certificate;
  /** The name asked for: the OS login on a node. */
  readonly username: string;
  readonly permits: Permits;
  readonly peer: Peer;
  /** As announced: SSH-2.0-OpenSSH_9.2 */
  readonly clientVersion: string;
  /** Resolves once the socket is closed. Never rejects. */
  readonly closed: Promise<void>;
  /** Opens a channel back to the client's agent; the client must have asked for agent forwarding. */
  openAgent(): Promise<SshChannel>;
  /** Sends a global request that wants no reply (`x-teleport-event`). */
  notify(name: string, payload: Buffer): void;
  /** Sends DISCONNECT and closes. `reason` is shown by clients. */
  close(reason: string): void;
}

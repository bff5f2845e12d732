import type { HostPort } from '../base/service.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import type { OpenFailure, ServerSessionChannel, SshChannel, WindowSize } from './channel-types.ts';

/** The addresses of one connection. */
export interface Peer {
  /** The client's true address: from a trusted proxy, else the socket's. */
  readonly remoteAddress: HostPort;
  /** The other end of the socket: the proxy's own address when there is one in between. */
  readonly socketAddress: HostPort;
  readonly localAddress: HostPort;
  /** The address in a preamble, believed or not. */
  readonly claimedAddress: HostPort | undefined;
  /** The balancer that named the client, to us or to the proxy in between; absent: none did. */
  readonly balancerAddress?: HostPort;
  /** UUID that the first session is to have, as a proxy of ours has said. */
  readonly sessionId?: string;
}

/** What the certificate allows. The protocol layer enforces none of it: whoever opens sessions must. */
export interface Permits {
  readonly pty: boolean;
  readonly portForwarding: boolean;
  readonly agentForwarding: boolean;
  /** Run this instead of the requested command. */
  readonly forceCommand: string | undefined;
}

/**
 * A login that was refused, for the audit: its texts are cut (`base/unproved-text.ts`). The client gets
 * nothing but "failed".
 */
export interface AuthFailure {
  readonly username: string;
  /** From the presented certificate. Not proven when `reason` is about the certificate itself. */
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

/**
 * The requests of a client on a session channel, in their order.
 * Source: RFC 4254, 6.
 */
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

/** Handles the requests of one authenticated client. Requests without a handler are refused. */
export interface ConnectionHandlers {
  readonly session?: (open: SessionOpen) => void;
  readonly forward?: (open: ForwardOpen) => void;
}

/** A client that has authenticated. */
export interface SshConnection {
  /** Unique in this process. */
  readonly id: number;
  readonly certificate: Certificate;
  /** The requested name: the OS login on a node. */
  readonly username: string;
  readonly permits: Permits;
  readonly peer: Peer;
  /** As announced: SSH-2.0-OpenSSH_9.2 */
  readonly clientVersion: string;
  /** Resolves once the socket is closed. Never rejects. */
  readonly closed: Promise<void>;
  /** It was closed since the client no longer answered whether it is there. */
  readonly wentSilent: boolean;
  /** Opens a channel back to the client's agent; the client must have asked for agent forwarding. */
  openAgent(): Promise<SshChannel>;
  /** Sends a global request without a reply (`x-teleport-event`). */
  notify(name: string, payload: Buffer): void;
  /** Sends DISCONNECT and closes. `reason` is shown by clients. */
  close(reason: string): void;
}

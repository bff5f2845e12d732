import type { Duplex } from 'node:stream';

/** Size of a terminal. Zero pixels mean "not known". */
export interface WindowSize {
  readonly columns: number;
  readonly rows: number;
  readonly widthPixels: number;
  readonly heightPixels: number;
}

/** How a remote command ended. `unknown`: the channel closed without an exit status. */
export type ExitStatus =
  | { readonly status: 'exited'; readonly code: number }
  | {
      readonly status: 'signalled';
      /** Without "SIG": TERM, KILL. */
      readonly signal: string;
      readonly coreDumped: boolean;
      readonly message: string;
    }
  | { readonly status: 'unknown' };

/** Why a channel was not opened. Source: RFC 4254, 5.1. */
export type OpenFailure = 'prohibited' | 'connect_failed' | 'unknown_type' | 'resource_shortage';

/**
 * One channel of a connection, in either role. Reading gives what the peer sends, writing is limited by the
 * peer's window and by the socket, `end()` sends EOF (the other direction stays open), `destroy()` closes at
 * once. Node's `close` event comes when everything that was received has been read; when the connection broke
 * off it comes without `end` before it, so that cut data never looks complete.
 */
export interface SshChannel extends Duplex {
  /** Extended data type 1. Servers write to it, clients read from it. */
  readonly stderr: Duplex;
  /**
   * Resolves when the peer has closed the channel or the connection is gone; data may still wait to be read.
   */
  readonly gone: Promise<void>;
}

/** A session channel as the server sees it. */
export interface ServerSessionChannel extends SshChannel {
  /**
   * Sends the peer a request on this channel; it replies in order, so the reply also shows that it has
   * received what was written before. False: refused, or the channel closed before the reply.
   */
  request(name: string, data: Buffer): Promise<boolean>;
  /** Sends at once how the program ended; its output may still follow. Only the first call counts. */
  tellExit(exit: ExitStatus): void;
  /** The peer does not read stdout any more: waiting and later output is discarded. */
  dropOutput(): void;
  /**
   * Ends the session: flushes stdout and stderr, then sends the exit status (nothing for `unknown`, or when
   * it was sent before), EOF and CLOSE. Resolves when all of it is sent or the peer is gone.
   */
  finish(exit: ExitStatus): Promise<void>;
}

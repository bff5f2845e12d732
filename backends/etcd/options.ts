import { CodedError } from '../../src/base/errors.ts';

/** How an etcd cluster is reached, and which part of it is ours. */
export interface EtcdOptions {
  /** `https://host:port`, `http://host:port`; see `usesTls` for a bare `host:port`. */
  readonly peers: readonly string[];
  /** With or without slashes around it: the same place. */
  readonly prefix: string;
  readonly tlsKeyFile?: string | undefined;
  readonly tlsCertFile?: string | undefined;
  readonly tlsCaFile?: string | undefined;
  /** The servers' certificates are not checked. */
  readonly insecure: boolean;
  /** How long opening waits for a peer that replies. */
  readonly dialTimeoutMs: number;
  readonly username?: string | undefined;
  readonly passwordFile?: string | undefined;
  /** Largest response that is accepted; default 4 MiB. */
  readonly maxClientMessageBytes?: number | undefined;
}

/**
 * Whether a peer is called with TLS: one with `https://`, and one without a scheme when TLS files are given.
 * @throws CodedError `misconfigured` for `http://` beside TLS files: naming them means that the connection
 *   should be protected.
 */
export function usesTls(peer: string, { tlsCaFile, tlsCertFile, tlsKeyFile }: EtcdOptions): boolean {
  const files = (tlsCaFile ?? tlsCertFile ?? tlsKeyFile) !== undefined;
  if (peer.startsWith('https://')) return true;
  if (!peer.startsWith('http://')) return files;
  if (files)
    throw new CodedError(
      'misconfigured',
      `etcd: TLS files are set, but the peer ${peer} is spoken to without TLS: write https://, or remove them`,
    );
  return false;
}

/**
 * Longest wait for one reply: all peers together have replied or failed well before the log counts as lagging
 * (5 s).
 */
export const callTimeoutMs = 2_000;
/** A read is also sent to another peer when one has not replied within this time. */
export const hedgeAfterMs = 500;
/**
 * A write without a reply by then is settled by reading, and tried at another peer under the same condition:
 * a follower may wait for a leader that is gone, a peer may be silent. Well within what callers may notice of
 * it (3 s).
 */
export const writeTimeoutMs = 1_000;
/** A request of etcd's is 1.5 MiB at most; the batch is sent with its key. */
export const maxBatchBytes = 1024 * 1024;
export const defaultMessageBytes = 4 * 1024 * 1024;
/** A response with one batch in it must fit. */
export const leastMessageBytes = 2 * 1024 * 1024;

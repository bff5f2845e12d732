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
  /** The servers' certificates are not looked at. */
  readonly insecure: boolean;
  /** How long opening looks for a peer that answers. */
  readonly dialTimeoutMs: number;
  readonly username?: string | undefined;
  readonly passwordFile?: string | undefined;
  /** Largest answer that is taken; default 4 MiB. */
  readonly maxClientMessageBytes?: number | undefined;
}

/**
 * Whether a peer is spoken to with TLS: one that says `https://`, and one that says nothing when TLS files
 * are given.
 * @throws CodedError `misconfigured` for `http://` beside TLS files: who names them means to be protected.
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
 * Longest wait for one answer: all peers together have answered or not well before the log counts as lagging
 * (5 s).
 */
export const callTimeoutMs = 2_000;
/** A peer that has not answered a read by then is not waited for alone. */
export const hedgeAfterMs = 500;
/**
 * A write that is not answered by then is settled by reading, and tried at another peer under the same
 * condition: a follower may wait for a leader that is gone, a peer may be mute. Well within what callers may
 * notice of it (3 s).
 */
export const writeTimeoutMs = 1_000;
/** A request of etcd's is 1.5 MiB at most; the batch travels with its key. */
export const maxBatchBytes = 1024 * 1024;
export const defaultMessageBytes = 4 * 1024 * 1024;
/** An answer with one batch in it must fit. */
export const leastMessageBytes = 2 * 1024 * 1024;

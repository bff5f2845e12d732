import type { ClientRequest } from 'node:http';
import { request, type RequestOptions } from 'node:https';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { tlsPolicy } from './tls-policy.ts';

/*
 * The one place where TLS is dialled; lint keeps it so. Without a word about it the runtime looks at a
 * certificate unless NODE_TLS_REJECT_UNAUTHORIZED is 0, which people set for other programs, in images and
 * profiles. So it is said here, each time, and an exception has a name.
 */

type Checks = 'rejectUnauthorized' | 'checkServerIdentity';

/** For clients of others (an SDK's agent) that dial for themselves: every certificate is looked at. */
export const checked = { rejectUnauthorized: true } as const;
/** Where a person or a configuration asked explicitly that nothing be checked. */
export const unchecked = { rejectUnauthorized: false } as const;

/** TLS to a server whose certificate must be good: of `ca` (or `secureContext`), and for `servername`. */
export const dialTls = (options: Omit<ConnectionOptions, Checks>): TLSSocket =>
  connect({ ...options, ...tlsPolicy, ...checked });

/**
 * TLS to whoever answers: for reading what is then checked by other means. Whatever is sent there may reach
 * an attacker: never a secret.
 */
export const dialAnybody = (options: Omit<ConnectionOptions, Checks | 'ca'>): TLSSocket =>
  connect({ ...options, ...tlsPolicy, ...unchecked });

/**
 * What is asked of a server's certificate: of these authorities (PEM; undefined: the runtime's), or nothing.
 */
export type ServerCheck =
  | { readonly status: 'checked'; readonly ca: readonly (string | Buffer)[] | undefined }
  /** As a person or a configuration said. */
  | { readonly status: 'unchecked' };

/** A request over HTTPS, not yet ended. Each has a connection of its own. */
export const requestHttps = (
  url: URL,
  options: Omit<RequestOptions, Checks | 'ca' | 'agent'>,
  check: ServerCheck,
): ClientRequest =>
  request(url, {
    ...options,
    ...tlsPolicy,
    agent: false,
    ...(check.status === 'unchecked'
      ? unchecked
      : { ...checked, ...(check.ca === undefined ? {} : { ca: [...check.ca] }) }),
  });

import type { ClientRequest } from 'node:http';
import { request, type RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { tlsPolicy } from './tls-policy.ts';

/*
 * The one place where TLS is dialled; lint keeps it so. By default the runtime checks a certificate unless
 * NODE_TLS_REJECT_UNAUTHORIZED is 0, which people set for other programs, in images and profiles. So it is
 * set here explicitly, each time, and an exception has a name.
 */

type Checks = 'rejectUnauthorized' | 'checkServerIdentity';

/** For other clients (an SDK's agent) that dial by themselves: every certificate is checked. */
export const checked = { rejectUnauthorized: true } as const;
/** Where a person or a configuration asked explicitly that nothing be checked. */
export const unchecked = { rejectUnauthorized: false } as const;

/**
 * TLS to a server whose certificate must be valid: signed by `ca` (or `secureContext`), and for `servername`.
 */
export const dialTls = (options: Omit<ConnectionOptions, Checks>): TLSSocket =>
  connect({ ...options, ...tlsPolicy, ...checked });

/**
 * TLS to any server: for reading what is then checked by other means. Whatever is sent there may reach an
 * attacker, so never send a secret.
 */
export const dialAnybody = (options: Omit<ConnectionOptions, Checks | 'ca'>): TLSSocket =>
  connect({ ...options, ...tlsPolicy, ...unchecked });

/**
 * How a server's certificate is checked: by these authorities (PEM; undefined: the runtime's), or not at all.
 */
export type ServerCheck =
  | { readonly status: 'checked'; readonly ca: readonly (string | Buffer)[] | undefined }
  /** As a person or a configuration requested. */
  | { readonly status: 'unchecked' };

/**
 * A request over HTTPS, not yet ended. Each has a connection of its own.
 * @param over on which TLS begins; undefined: a connection to where the URL leads.
 */
export const requestHttps = (
  url: URL,
  options: Omit<RequestOptions, Checks | 'ca' | 'agent' | 'createConnection'>,
  check: ServerCheck,
  over?: Duplex,
): ClientRequest => {
  const checks =
    check.status === 'unchecked'
      ? unchecked
      : { ...checked, ...(check.ca === undefined ? {} : { ca: [...check.ca] }) };
  if (over === undefined) return request(url, { ...options, ...tlsPolicy, agent: false, ...checks });
  const { key, cert } = options;
  const client = { ...(key !== undefined && { key }), ...(cert !== undefined && { cert }) };
  return request(url, {
    ...options,
    createConnection: () =>
      connect({ ...client, ...nameOf(url.hostname), socket: over, ...tlsPolicy, ...checks }),
  });
};

/** What the server's certificate has to be for; an address is not sent (RFC 6066, 3). */
const nameOf = (hostname: string): ConnectionOptions => {
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? { host, servername: host } : { host };
};

import type { RoleSpec } from './role-spec.ts';

/** What a session may do, merged over the person's roles. */
export interface AccessOptions {
  readonly forwardAgent: boolean;
  readonly portForwarding: boolean;
  readonly disconnectExpiredCert: boolean;
  /** 0 is never. */
  readonly clientIdleTimeoutSeconds: number;
  /** Session channels of one connection; 0 is no limit. */
  readonly maxSessions: number;
  /** Also where the disk takes nothing, so that somebody can free space. */
  readonly enterOnFullDisk: boolean;
}

/** The role that every cluster has. */
export const builtInRole = 'admin';

/**
 * `roles` are all that the person has; `granting` those of them that grant the login: only they can lend the
 * agent, or open a server whose disk is full. Permissions add up, limits do not: the smallest that is set
 * holds.
 */
export const mergeOptions = (roles: readonly RoleSpec[], granting: readonly RoleSpec[]): AccessOptions => ({
  forwardAgent: granting.some(({ options }) => options.forwardAgent),
  portForwarding: roles.some(({ options }) => options.portForwarding),
  disconnectExpiredCert: roles.some(({ options }) => options.disconnectExpiredCert),
  clientIdleTimeoutSeconds: smallestSet(roles.map(({ options }) => options.clientIdleTimeoutSeconds)),
  maxSessions: smallestSet(roles.map(({ options }) => options.maxSessions)),
  enterOnFullDisk: granting.some(({ name, options }) => options.enterOnFullDisk ?? name === builtInRole),
});

/** What the certificate itself permits; servers decide again, by the login. */
export const certificatePermits = (
  roles: readonly RoleSpec[],
): { readonly pty: boolean; readonly portForwarding: boolean; readonly agentForwarding: boolean } => ({
  pty: true,
  portForwarding: roles.some(({ options }) => options.portForwarding),
  agentForwarding: roles.some(({ options }) => options.forwardAgent),
});

/** How long a certificate may live: what is asked for, but no longer than the strictest role says. */
export const effectiveTtlSeconds = (roles: readonly RoleSpec[], requestedSeconds: number): number =>
  Math.min(requestedSeconds, ...roles.map(({ options }) => options.maxSessionTtlSeconds));

function smallestSet(values: readonly number[]): number {
  const set = values.filter((value) => value > 0);
  return set.length === 0 ? 0 : Math.min(...set);
}

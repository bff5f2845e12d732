import type { RoleSpec } from './role-spec.ts';

/** What a session may do, merged over the person's roles. */
export interface AccessOptions {
  readonly forwardAgent: boolean;
  readonly portForwarding: boolean;
  readonly disconnectExpiredCert: boolean;
  /** 0: never. */
  readonly clientIdleTimeoutSeconds: number;
  /** Session channels of one connection; 0: no limit. */
  readonly maxSessions: number;
  /** Even where the disk is full, so that somebody can free space. */
  readonly enterOnFullDisk: boolean;
  /**
   * Whether a session goes on that cannot be recorded. `usual`: no role says; it does only on a full disk,
   * for people who may enter there.
   */
  readonly recordSession: 'strict' | 'best_effort' | 'usual';
}

/** `oldssh`: for OpenSSH 7.1 and older, without roles and traits. */
export type CertificateFormat = 'standard' | 'oldssh';

/** The role that every cluster has. */
export const builtInRole = 'admin';

/**
 * Merged over `roles`, which are all that the person has; asked by the indexes of those among them that grant
 * the login: only these can allow agent forwarding, or entry to a server whose disk is full. Permissions add
 * up, limits do not: the smallest limit applies.
 */
export function optionsMerger(roles: readonly RoleSpec[]): (granting: ReadonlySet<number>) => AccessOptions {
  const ofAll = {
    portForwarding: roles.some(({ options }) => options.portForwarding),
    disconnectExpiredCert: roles.some(({ options }) => options.disconnectExpiredCert),
    clientIdleTimeoutSeconds: smallestSet(roles.map(({ options }) => options.clientIdleTimeoutSeconds)),
    maxSessions: smallestSet(roles.map(({ options }) => options.maxSessions)),
    recordSession: recordSessionOf(roles),
  };
  const where = (is: (role: RoleSpec) => boolean): readonly number[] =>
    roles.flatMap((role, at) => (is(role) ? [at] : []));
  const forwarding = where(({ options }) => options.forwardAgent);
  const onFullDisk = where(({ name, options }) => options.enterOnFullDisk ?? name === builtInRole);
  return (granting) => ({
    ...ofAll,
    forwardAgent: forwarding.some((at) => granting.has(at)),
    enterOnFullDisk: onFullDisk.some((at) => granting.has(at)),
  });
}

const recordSessionOf = (roles: readonly RoleSpec[]): AccessOptions['recordSession'] =>
  (['strict', 'best_effort'] as const).find((how) =>
    roles.some(({ options }) => options.recordSession === how),
  ) ?? 'usual';

/** What the certificate itself permits; servers decide again, for the login in use. */
export const certificatePermits = (
  roles: readonly RoleSpec[],
): { readonly pty: boolean; readonly portForwarding: boolean; readonly agentForwarding: boolean } => ({
  pty: true,
  portForwarding: roles.some(({ options }) => options.portForwarding),
  agentForwarding: roles.some(({ options }) => options.forwardAgent),
});

/** Which form a certificate has: the one that was asked for, unless a role wants the one for old programs. */
export const certificateFormat = (roles: readonly RoleSpec[], asked: CertificateFormat): CertificateFormat =>
  roles.some(({ options }) => options.certFormat === 'oldssh') ? 'oldssh' : asked;

/** How long a certificate may live: the requested time, but no longer than the strictest role allows. */
export const effectiveTtlSeconds = (roles: readonly RoleSpec[], requestedSeconds: number): number =>
  Math.min(requestedSeconds, ...roles.map(({ options }) => options.maxSessionTtlSeconds));

function smallestSet(values: readonly number[]): number {
  const set = values.filter((value) => value > 0);
  return set.length === 0 ? 0 : Math.min(...set);
}

import { type Instant, msBetween, plusMs, second } from '../base/time.ts';
import { effectiveTtlSeconds } from './role-options.ts';
import type { RoleSpec } from './role-spec.ts';

/** The setting shared by all auth servers: how long before its end a certificate can be renewed. */
export const renewalKey = 'auth_service.renewal';
/** The value of that setting where renewal is off. */
export const noRenewal = 'off';

/**
 * The setting as it is on the log; undefined: renewal is off, as it is for a value that this release does not
 * know.
 */
export function renewalWindowMs(standing: string | undefined): number | undefined {
  const seconds = /^(\d{1,9})s$/.exec(standing ?? '')?.[1];
  return seconds === undefined || Number(seconds) === 0 ? undefined : Number(seconds) * second;
}

export const renewalSetting = (windowMs: number): string =>
  windowMs === 0 ? noRenewal : `${Math.floor(windowMs / second)}s`;

/** When a person's sessions that began with this login end: by the strictest of the roles. */
export const longestUntil = (roles: readonly RoleSpec[], loggedInAt: Instant): Instant =>
  plusMs(loggedInAt, effectiveTtlSeconds(roles, Number.MAX_SAFE_INTEGER / second) * second);

export interface RenewalWish {
  readonly now: Instant;
  /**
   * From the certificate that is presented. Undefined: it does not record when its holder gave the password.
   */
  readonly loggedInAt: Instant | undefined;
  readonly validUntil: Instant;
  /**
   * `stays`: it is exchanged for another reason than to last longer: a rotation of the user authority is
   * replacing the key that signed it, or it is to lead to another cluster.
   */
  readonly end: 'moves' | 'stays';
  readonly windowMs: number | undefined;
  readonly roles: readonly RoleSpec[];
  readonly ttlSeconds: number;
}

export type Renewal =
  | { readonly status: 'renewed'; readonly ttlSeconds: number; readonly loggedInAt: Instant }
  | { readonly status: 'refused'; readonly reason: string };

/**
 * Whether a certificate is renewed without a password, and for how long: never beyond the longest session
 * that the roles allow, counted from the login with a password. A certificate that is exchanged for another
 * reason gets one with the same end, whatever the setting. So a rotation ends nobody's login, and extends
 * nobody's.
 */
export function decideRenewal(wish: RenewalWish): Renewal {
  const { now, loggedInAt, validUntil, end, windowMs, roles, ttlSeconds } = wish;
  const refused = (reason: string): Renewal => ({ status: 'refused', reason });
  const leftSeconds = Math.floor(msBetween(now, validUntil) / second);
  if (end === 'stays' && loggedInAt !== undefined && leftSeconds > 0)
    return { status: 'renewed', ttlSeconds: leftSeconds, loggedInAt };
  if (windowMs === undefined)
    return refused(`this cluster renews no certificates without a password (${renewalKey} is off)`);
  if (loggedInAt === undefined)
    return refused('the certificate is not one that a login with a password gave: it is not renewed');
  if (msBetween(now, validUntil) > windowMs)
    return refused(`the certificate is renewed from ${plusMs(validUntil, -windowMs)} on, before its end`);
  const until = longestUntil(roles, loggedInAt);
  const seconds = Math.floor(Math.min(ttlSeconds, msBetween(now, until) / second));
  if (seconds < 1 || plusMs(now, seconds * second) <= validUntil)
    return refused(
      `the roles allow sessions until ${until} by the login of ${loggedInAt}: log in with the password again`,
    );
  return { status: 'renewed', ttlSeconds: seconds, loggedInAt };
}

/**
 * When a certificate can first be renewed, for display to its holder; undefined where it never can. Only a
 * hint: the auth server decides when it is asked.
 */
export function renewableFrom({
  loggedInAt,
  validUntil,
  windowMs,
  roles,
}: Pick<RenewalWish, 'validUntil' | 'windowMs' | 'roles'> & { readonly loggedInAt: Instant }):
  Instant | undefined {
  if (windowMs === undefined || longestUntil(roles, loggedInAt) <= validUntil) return undefined;
  return plusMs(validUntil, -windowMs);
}

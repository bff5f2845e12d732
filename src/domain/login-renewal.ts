import { type Instant, msBetween, plusMs, second } from '../base/time.ts';
import { effectiveTtlSeconds } from './role-options.ts';
import type { RoleSpec } from './role-spec.ts';

/** By this name all auth servers share how long before its end a certificate can be renewed. */
export const renewalKey = 'auth_service.renewal';
/** The value of that setting where no certificate can. */
export const noRenewal = 'off';

/** The setting as the log has it; undefined: nothing is renewed, also by what this release does not know. */
export function renewalWindowMs(standing: string | undefined): number | undefined {
  const seconds = /^(\d{1,9})s$/.exec(standing ?? '')?.[1];
  return seconds === undefined || Number(seconds) === 0 ? undefined : Number(seconds) * second;
}

export const renewalSetting = (windowMs: number): string =>
  windowMs === 0 ? noRenewal : `${Math.floor(windowMs / second)}s`;

/** When a person's sessions end that began with this login: by the strictest of the roles. */
const longestUntil = (roles: readonly RoleSpec[], loggedInAt: Instant): Instant =>
  plusMs(loggedInAt, effectiveTtlSeconds(roles, Number.MAX_SAFE_INTEGER / second) * second);

export interface RenewalWish {
  readonly now: Instant;
  /** Of the certificate that is shown. Undefined: it does not say when its holder gave the password. */
  readonly loggedInAt: Instant | undefined;
  readonly validUntil: Instant;
  /** `leaves`: it is of a key that another one takes the place of, by a rotation of the user authority. */
  readonly authorityKey: 'signs' | 'leaves';
  readonly windowMs: number | undefined;
  readonly roles: readonly RoleSpec[];
  readonly ttlSeconds: number;
}

export type Renewal =
  | { readonly status: 'renewed'; readonly ttlSeconds: number; readonly loggedInAt: Instant }
  | { readonly status: 'refused'; readonly reason: string };

/**
 * Whether a certificate is renewed without a password, and for how long: never past the longest session that
 * the roles allow from the login with a password on. One of a key that leaves is exchanged for one of the new
 * key with the same end, whatever the setting: a rotation then takes nobody's login away, and gives nobody
 * more of it.
 */
export function decideRenewal(wish: RenewalWish): Renewal {
  const { now, loggedInAt, validUntil, authorityKey, windowMs, roles, ttlSeconds } = wish;
  const refused = (reason: string): Renewal => ({ status: 'refused', reason });
  const leftSeconds = Math.floor(msBetween(now, validUntil) / second);
  if (authorityKey === 'leaves' && loggedInAt !== undefined && leftSeconds > 0)
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
 * From when on a certificate can be renewed, for whoever holds it; undefined where it never will be. Only a
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

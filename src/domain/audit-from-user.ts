import { hour, type Instant, minute, msBetween, second } from '../base/time.ts';
import { catalogue } from './audit-catalogue.ts';
import type { EventBody } from './audit-kind.ts';
import type { Traits } from './role-spec.ts';
import type { Addresses, Grant, Refusal, UserFact } from './user-fact.ts';
import { ownChangeMethods } from './user-own-change.ts';

/** Which user a fact is about, who caused it, and when. */
export interface Around {
  readonly username: string;
  readonly by: string;
  readonly at: Instant;
}

type Tellers = {
  readonly [T in UserFact['type']]: (
    data: Extract<UserFact, { type: T }>['data'],
    around: Around,
  ) => EventBody | undefined;
};

/** What the operator reads. The person at the prompt gets the same message for every reason. */
const refusals: Readonly<Record<Refusal, string>> = {
  wrong_password: 'the password is wrong',
  no_otp: 'no one-time code was given',
  wrong_otp: 'the one-time code is wrong',
  used_otp: 'the one-time code was used before',
};

interface ToldAddresses {
  readonly 'addr.remote'?: string;
  readonly 'addr.local'?: string;
  readonly 'addr.balancer'?: string;
}
export const toldAddresses = ({ remote, local, balancer }: Addresses): ToldAddresses => ({
  ...(remote === '' ? {} : { 'addr.remote': remote }),
  ...(local === '' ? {} : { 'addr.local': local }),
  ...(balancer === undefined ? {} : { 'addr.balancer': balancer }),
});

const isOwnChange = (method: string): boolean => Object.values<string>(ownChangeMethods).includes(method);

const changed = ({ username, by }: Around) => ({ user: by, name: username, updated_by: by });

const updated = (
  data: { readonly roles: string[] } | { readonly traits: Traits },
  around: Around,
): EventBody => catalogue.userUpdate({ ...changed(around), ...data, connector: 'local' });

const tellers: Tellers = {
  'user.created': ({ roles }, around) =>
    catalogue.userCreate({
      ...changed(around),
      roles,
      connector: 'local',
    }),
  'user.invited': ({ purpose, expiresAt }, around) =>
    catalogue.resetPasswordTokenCreate({
      ...changed(around),
      purpose,
      ttl: durationText(msBetween(around.at, expiresAt)),
      expires: expiresAt,
    }),
  // Comes together with the link, which is reported.
  'user.password_reset': () => undefined,
  'user.password_set': ({ addresses }, { username }) =>
    catalogue.userPasswordChange({
      user: username,
      ...toldAddresses(addresses),
    }),
  // One that comes together with a password is reported with that.
  'user.otp_set': ({ addresses }, { username }) =>
    addresses &&
    catalogue.mfaAdd({
      user: username,
      mfa_device_name: 'code',
      mfa_device_type: 'TOTP',
      ...toldAddresses(addresses),
    }),
  'user.logged_in': ({ method, addresses }, { username }) =>
    isOwnChange(method)
      ? // What it was given for is reported.
        undefined
      : catalogue.userLogin({
          user: username,
          method,
          success: true,
          ...toldAddresses(addresses),
        }),
  'user.login_refused': ({ reason, addresses }, { username }) =>
    catalogue.userLoginFailure({
      user: username,
      method: 'local',
      success: false,
      error: Object.hasOwn(refusals, reason) ? refusals[reason as Refusal] : reason,
      ...toldAddresses(addresses),
    }),
  'user.locked': ({ until, reason, source }, { username }) =>
    catalogue.lockCreated({
      user: username,
      name: username,
      expires: until,
      message: reason,
      ...(source === undefined ? {} : { from: source }),
    }),
  'user.attempts_apart': () => undefined,
  'user.unlocked': (_data, around) =>
    catalogue.lockDeleted({
      ...changed(around),
    }),
  'user.roles_changed': updated,
  'user.traits_changed': updated,
  'user.deleted': (_data, around) =>
    catalogue.userDelete({
      ...changed(around),
    }),
};

/** The audit event of a fact about a user; none when another fact of the same append already reports it. */
export function tellUser(fact: UserFact, around: Around): readonly EventBody[] {
  const teller = tellers[fact.type] as (data: UserFact['data'], around: Around) => EventBody | undefined;
  const told = teller(fact.data, around);
  if (told === undefined) return [];
  const certificate = fact.type === 'user.logged_in' ? fact.data.certificate : undefined;
  return certificate === undefined || fact.type !== 'user.logged_in'
    ? [told]
    : [told, tellCertificate(certificate, fact.data.addresses, around)];
}

const tellCertificate = (
  { roles, logins, ttlSeconds, serial }: Grant,
  addresses: Addresses,
  { username }: Around,
): EventBody =>
  catalogue.userCertificate({
    user: username,
    cert_type: 'user',
    roles,
    logins,
    ttl_seconds: ttlSeconds,
    ...(serial === undefined ? {} : { serial }),
    ...toldAddresses(addresses),
  });

/** As 4.4 writes it: `1h0m0s`. */
function durationText(ms: number): string {
  const hours = Math.floor(ms / hour);
  const minutes = Math.floor((ms % hour) / minute);
  const seconds = Math.floor((ms % minute) / second);
  return hours > 0 ? `${hours}h${minutes}m${seconds}s` : `${minutes}m${seconds}s`;
}

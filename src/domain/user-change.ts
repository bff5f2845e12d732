import { CodedError, unreachable } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { certificateMisfit } from './certificate-limits.ts';
import { invalidLink, type InvitePurpose, type InviteSets } from './invite.ts';
import { checkLogin, checkName } from './names.ts';
import type { Traits } from './role-spec.ts';
import { type Addresses, type NewOtp, otpSet, passwordSet, type UserFact } from './user-fact.ts';
import type { ActiveUser, UserState } from './user-state.ts';

/** The invite that is decided in the same append, on its own stream. */
export interface InviteReference {
  readonly hash: string;
  readonly expiresAt: Instant;
}

/** The caller has checked that the roles exist. */
export interface CreateUser {
  readonly type: 'create-user';
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
  /** Left out: no link; the user has no password until a reset. */
  readonly invite?: InviteReference;
  /** Whether its attempts to log in are recorded in the partition `attempts`. Left out: not yet. */
  readonly attemptsApart?: boolean;
}

/** A user as a file of everything has it, with the ids of what it proves itself by. */
export interface RestoreUser {
  readonly type: 'restore-user';
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
  /** Left out: a new one begins. */
  readonly life?: { readonly id: string; readonly isFirst: boolean };
  readonly password?: { readonly id: string; readonly hash: Uint8Array };
  readonly otp?: NewOtp;
}

export interface ResetUser {
  readonly type: 'reset-user';
  readonly username: string;
  readonly invite: InviteReference;
}

/**
 * Comes with `accept-invite` in one append; the code in `otp` has been checked against the seed of the
 * invite.
 */
export interface SetCredentials {
  readonly type: 'set-credentials';
  readonly inviteHash: string;
  /** New and unique, so that a check against an older password can be recognised. */
  readonly passwordId: string;
  readonly passwordHash: Uint8Array;
  readonly otp: { readonly status: 'unchanged' } | ({ readonly status: 'set' } & NewOtp);
  readonly addresses: Addresses;
}

export interface ChangeUserAccess {
  readonly type: 'change-user-access';
  readonly username: string;
  /** Left out: unchanged. */
  readonly roles?: readonly string[];
  readonly traits?: Traits;
  /** What it is changed from; `conflict` when that is something else by now. Default: whatever it is. */
  readonly expected?: Pick<ActiveUser, 'roles' | 'traits'>;
}

export interface UnlockUser {
  readonly type: 'unlock-user';
  readonly username: string;
  /** Whether failures count, or locks hold, by attempts that are recorded apart. */
  readonly failedApart?: boolean;
}

/** Attempts to log in are recorded in the partition `attempts` from here on. */
export interface RecordAttemptsApart {
  readonly type: 'record-attempts-apart';
  readonly username: string;
}

export interface DeleteUser {
  readonly type: 'delete-user';
  readonly username: string;
}

export type UserChange =
  | CreateUser
  | RestoreUser
  | ResetUser
  | SetCredentials
  | ChangeUserAccess
  | UnlockUser
  | RecordAttemptsApart
  | DeleteUser;

export function decideUserChange(state: UserState, command: UserChange): readonly UserFact[] {
  switch (command.type) {
    case 'create-user':
      return create(state, command);
    case 'restore-user':
      return restore(state, command);
    case 'reset-user':
      existing(state, command.username);
      return [{ type: 'user.password_reset', data: {} }, invited(command.invite, 'reset')];
    case 'set-credentials':
      return setCredentials(state, command);
    case 'change-user-access':
      return changeAccess(existing(state, command.username), command);
    case 'unlock-user':
      return unlock(existing(state, command.username), command);
    case 'record-attempts-apart':
      return existing(state, command.username).attempts === 'apart'
        ? []
        : [{ type: 'user.attempts_apart', data: {} }];
    case 'delete-user':
      existing(state, command.username);
      return [{ type: 'user.deleted', data: {} }];
    default:
      return unreachable(command);
  }
}

function existing(state: UserState, username: string): ActiveUser {
  if (state.status === 'absent') throw new CodedError('not_found', `user "${username}" is not found`);
  return state;
}

export const invited = (
  { hash, expiresAt }: InviteReference,
  purpose: InvitePurpose | InviteSets,
): UserFact => ({
  type: 'user.invited',
  data: { inviteHash: hash, purpose, expiresAt },
});

function unlock(
  { lock, sourceLocks, failures }: ActiveUser,
  { failedApart = false }: UnlockUser,
): readonly UserFact[] {
  const hasFailed = lock !== null || sourceLocks.length > 0 || failures.length > 0 || failedApart;
  return hasFailed ? [{ type: 'user.unlocked', data: {} }] : [];
}

function create(state: UserState, command: CreateUser): readonly UserFact[] {
  const { username, roles, traits, invite, attemptsApart = false } = command;
  if (state.status !== 'absent')
    throw new CodedError('already_exists', `user "${username}" already registered`);
  checkName('user', username);
  checkRoles(roles);
  checkTraits(traits);
  checkFits({ username, roles, traits });
  return [
    {
      type: 'user.created',
      data: { username, roles: unique(roles), traits, ...(state.before && { before: state.before }) },
    },
    ...(attemptsApart && state.before?.attempts !== 'apart'
      ? [{ type: 'user.attempts_apart', data: {} } as const]
      : []),
    ...(invite === undefined ? [] : [invited(invite, 'invite')]),
  ];
}

function restore(state: UserState, command: RestoreUser): readonly UserFact[] {
  const { life, password, otp, ...described } = command;
  const facts = create(state, { ...described, type: 'create-user' }).map((fact): UserFact =>
    fact.type === 'user.created' && life !== undefined ? { ...fact, data: { ...fact.data, life } } : fact,
  );
  return [
    ...facts,
    ...(password === undefined ? [] : [passwordSet(password.id, password.hash, { remote: '', local: '' })]),
    ...(otp === undefined ? [] : [otpSet(otp)]),
  ];
}

function setCredentials(state: UserState, command: SetCredentials): readonly UserFact[] {
  if (state.status === 'absent' || state.invite?.hash !== command.inviteHash) throw invalidLink();
  const { passwordId, passwordHash, otp, addresses } = command;
  const password = passwordSet(passwordId, passwordHash, addresses);
  return otp.status === 'unchanged' ? [password] : [password, otpSet(otp)];
}

function changeAccess(state: ActiveUser, { roles, traits, expected }: ChangeUserAccess): readonly UserFact[] {
  const facts: UserFact[] = [];
  if (
    expected !== undefined &&
    (unique(expected.roles).join('\n') !== state.roles.join('\n') ||
      traitsText(expected.traits) !== traitsText(state.traits))
  )
    throw new CodedError('conflict', `user "${state.username}" was changed meanwhile: read it again`);
  if (roles ?? traits)
    checkFits({ username: state.username, roles: roles ?? state.roles, traits: traits ?? state.traits });
  if (roles) {
    checkRoles(roles);
    const wanted = unique(roles);
    if (wanted.join('\n') !== state.roles.join('\n'))
      facts.push({ type: 'user.roles_changed', data: { roles: wanted } });
  }
  if (traits) {
    checkTraits(traits);
    if (traitsText(traits) !== traitsText(state.traits))
      facts.push({ type: 'user.traits_changed', data: { traits } });
  }
  return facts;
}

function checkRoles(roles: readonly string[]): void {
  if (roles.length === 0) throw new CodedError('bad_request', 'a user needs at least one role');
  for (const role of roles) checkName('role', role);
}

/**
 * Logins are checked here although certificates drop invalid ones: the person who types one should learn of
 * it.
 */
function checkTraits(traits: Traits): void {
  for (const login of traits['logins'] ?? []) checkLogin(login);
}

/** Roles may add logins, and how many is known only with all roles: `auth` makes the same check with them. */
function checkFits(user: {
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
}): void {
  const misfit = certificateMisfit({ ...user, logins: unique(user.traits['logins'] ?? []) });
  if (misfit !== undefined)
    throw new CodedError('bad_request', `user "${user.username}" could not log in: ${misfit}`);
}

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** A trait without values is none: documents leave it out. */
const traitsText = (traits: Traits): string =>
  JSON.stringify(
    Object.entries(traits)
      .filter(([, values]) => values.length > 0)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
  );

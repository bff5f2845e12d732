import { CodedError, unreachable } from '../base/errors.ts';
import { minute } from '../base/time.ts';
import { invalidLink } from './invite.ts';
import { invited, type InviteReference } from './user-change.ts';
import { type Addresses, type NewOtp, otpSet, passwordSet, type UserFact } from './user-fact.ts';
import { decideProof, isStillProved, type Proof, provedFact } from './user-login.ts';
import type { AttemptsAt, UserState } from './user-state.ts';

/** What a person gave its password and code for, as `method` of the fact that spends the code. */
export const ownChangeMethods = { password: 'password_change', codeDevice: 'code_device_change' } as const;

/** How long a person has to set up a device. */
export const codeDeviceTtlMs = 10 * minute;

export interface OwnProof extends Proof {
  /** Where the attempt is recorded: with the change, or it was, apart from it, before this is decided. */
  readonly recorded: AttemptsAt;
  /** Why a person who proves to be this user may change nothing now. */
  readonly forbidden: string | undefined;
}

export interface ChangePassword extends OwnProof {
  readonly type: 'change-password';
  /** New and unique, as in `SetCredentials`. */
  readonly passwordId: string;
  readonly passwordHash: Uint8Array;
}

/** The secret of the new device is on the stream of the invite. */
export interface BeginCodeDevice extends OwnProof {
  readonly type: 'begin-code-device';
  readonly invite: InviteReference;
}

/** Comes with `accept-invite` in one append; the code has been checked against the seed of the invite. */
export interface SetCodeDevice {
  readonly type: 'set-code-device';
  readonly inviteHash: string;
  readonly otp: NewOtp;
  readonly addresses: Addresses;
}

export type OwnChange = ChangePassword | BeginCodeDevice | SetCodeDevice;

const types: ReadonlySet<string> = new Set<OwnChange['type']>([
  'change-password',
  'begin-code-device',
  'set-code-device',
]);
export const isOwnChange = (command: { readonly type: string }): command is OwnChange =>
  types.has(command.type);

/**
 * What people change of their own. As for a login, a proof that does not hold is a fact and throws nothing;
 * `loginOutcome` reads the result.
 * @throws CodedError `access_denied` where the proof holds and the change is not allowed: then nothing is
 *   spent.
 */
export function decideOwnChange(state: UserState, command: OwnChange): readonly UserFact[] {
  switch (command.type) {
    case 'change-password':
      return decideProved(state, command, (proved) => [
        { type: 'user.password_reset', data: {} },
        ...proved,
        passwordSet(command.passwordId, command.passwordHash, command.addresses, command.source),
      ]);
    case 'begin-code-device':
      return decideProved(state, command, (proved) => [...proved, invited(command.invite, 'code_device')]);
    case 'set-code-device':
      return setCodeDevice(state, command);
    default:
      return unreachable(command);
  }
}

/** What a proof was given for, as `method` of the fact that spends its code. */
export const methodOf = ({ type }: ChangePassword | BeginCodeDevice): string =>
  type === 'change-password' ? ownChangeMethods.password : ownChangeMethods.codeDevice;

/**
 * A change of the password begins as a reset does: whoever knew the old one may have logged in with it, so
 * that only where this person is now remains a known source.
 * @param change the facts of the change, given the fact that spends the code where that goes with it.
 */
function decideProved(
  state: UserState,
  command: ChangePassword | BeginCodeDevice,
  change: (proved: readonly UserFact[]) => readonly UserFact[],
): readonly UserFact[] {
  if (state.status === 'active' && state.attempts !== command.recorded)
    throw new CodedError('unavailable', 'logins of this user are recorded elsewhere from now on, try again');
  const allowed = (proved: readonly UserFact[]): readonly UserFact[] => {
    if (command.forbidden !== undefined) throw new CodedError('access_denied', command.forbidden);
    return change(proved);
  };
  if (command.recorded === 'here')
    return decideProof(state, command, () => allowed([provedFact(command, methodOf(command))]));
  return state.status === 'active' && isStillProved(state, command) ? allowed([]) : [];
}

/** A reset, a new password and a newer secret make the invite void, so that they void this as well. */
function setCodeDevice(state: UserState, { inviteHash, otp, addresses }: SetCodeDevice): readonly UserFact[] {
  if (state.status === 'absent' || state.invite?.hash !== inviteHash) throw invalidLink();
  return [otpSet(otp, addresses)];
}

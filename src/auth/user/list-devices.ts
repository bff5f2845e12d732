import { listDevices as row } from '../../api/operations/user-own.ts';
import { CodedError } from '../../base/errors.ts';
import { startOfOtpStep } from '../../pki/otp.ts';
import { findUser } from '../../views/users.ts';
import { implementing } from '../implementing.ts';

/** The code device of the caller, whoever it is: nobody asks about others here. */
export const listDevices = implementing(row, async (deps, { caller }) => {
  if (caller.kind !== 'user') throw new CodedError('access_denied', 'only a person has code devices');
  await deps.views.fresh();
  const { state, otpIn } = findUser(deps.views.users.state(), caller.username) ?? {};
  if (state?.otp == null || otpIn == null) return { devices: [] };
  const { lastStep } = state.otp;
  return { devices: [{ type: 'otp', addedAt: otpIn.cause.at, lastUsedAt: startOfOtpStep(lastStep) }] };
});

import { listDevices as row } from '../../api/operations/user-own.ts';
import { CodedError } from '../../base/errors.ts';
import { startOfOtpStep } from '../../pki/otp.ts';
import { findUser } from '../../views/users.ts';
import { implementing } from '../implementing.ts';
import { userNow } from './user-now.ts';
import { freshForAttempt } from './record-attempt.ts';

/** The code device of the caller, whoever it is: nobody asks about others here. */
export const listDevices = implementing(row, async (deps, { caller }) => {
  if (caller.kind !== 'user') throw new CodedError('access_denied', 'only a person has code devices');
  await freshForAttempt(deps);
  const entry = findUser(deps.views.users.state(), caller.username);
  const otp = entry && userNow(deps, entry).otp;
  if (otp == null || entry?.otpIn == null) return { devices: [] };
  const { otpIn } = entry;
  const { lastStep } = otp;
  return { devices: [{ type: 'otp', addedAt: otpIn.cause.at, lastUsedAt: startOfOtpStep(lastStep) }] };
});

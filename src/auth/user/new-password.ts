import { CodedError } from '../../base/errors.ts';
import { hashPassword } from '../../pki/password.ts';

/** As in 4.4. Long passwords are hashed as a whole; the contract's size limit is the only upper bound. */
const shortestPassword = 6;

/** @throws CodedError `bad_request` for a password that nobody may have. */
export function checkNewPassword(password: string): void {
  if (Array.from(password).length < shortestPassword)
    throw new CodedError(
      'bad_request',
      `password is too short, it must have at least ${shortestPassword} characters`,
    );
}

/** As the secret of a fact. */
export const hashOf = async (password: string): Promise<Uint8Array> =>
  Buffer.from(await hashPassword(password));

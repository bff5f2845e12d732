import { second } from '../base/duration.ts';
import { CodedError } from '../base/errors.ts';
import { accountRefusal } from '../machine/account-refusal.ts';
import type { OsUser } from '../machine/passwd.ts';
import type { AuditSubject } from './node-audit.ts';
import type { NodeContext } from './session-context.ts';

const day = 24 * 3600 * second;

/**
 * The unix account of a login, if the machine allows its use now. Asked before every session and every
 * forward, as an account may be closed while its people are connected.
 * @throws CodedError with the reason, for the person to read; it is logged too.
 */
export async function loginAccount(
  { accounts, world, admitsLockedAccounts, sink }: NodeContext,
  { login, username }: Pick<AuditSubject, 'login' | 'username'>,
): Promise<OsUser> {
  const user = await accounts.user(login);
  if (user === undefined) throw new CodedError('unavailable', `user: unknown user ${login}`);
  const today = Math.floor(Date.parse(world.now()) / day);
  const refusal = await accountRefusal(user, { accounts, today, admitsLocked: admitsLockedAccounts });
  if (refusal === undefined) return user;
  sink.warn('a login was refused by this machine', {
    ...{ user: username, login, reason: refusal },
    advice:
      '`chage -l` and `passwd -S` show what the machine says of an account; ssh_service.admit_locked_accounts admits locked ones',
  });
  throw new CodedError('access_denied', refusal);
}

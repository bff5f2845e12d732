import { CodedError } from '../../../base/errors.ts';
import { type Prompter, openPrompter } from '../../prompt.ts';
import type { Run } from '../../program.ts';
import { askCredentials, askProxy, refusedProof } from '../login/login.ts';
import { readSettings } from '../settings.ts';
import { changePassword } from './own-requests.ts';

/** `tsh passwd`: a person changes the own password. No certificate is needed: it may have ended. */
export const passwdCommand: Run = async (invocation, io) => {
  const settings = await readSettings(invocation, io);
  const { user } = settings;
  const { target, answer } = await askProxy(settings, io);
  const prompter = openPrompter(io);
  try {
    const credentials = await askCredentials(prompter, user, answer);
    const newPassword = await askNewPassword(prompter);
    await changePassword(target, { user, ...credentials }, newPassword).catch((e: unknown) => {
      throw refusedProof(e, user, target.address, answer);
    });
  } finally {
    prompter.close();
  }
  io.stdout.write(
    `The password of user ${user} has been changed. Certificates of earlier logins stay valid until they end.\n`,
  );
  return 0;
};

/** @throws CodedError `bad_request` when what was typed differs: nothing was sent then. */
export async function askNewPassword(prompter: Pick<Prompter, 'hidden'>): Promise<string> {
  const first = await prompter.hidden('Enter the new password:');
  const second = await prompter.hidden('Enter the new password again:');
  if (first === second) return first;
  throw new CodedError('bad_request', 'the two new passwords differ: nothing was changed');
}

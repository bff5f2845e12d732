import type { AuthClient } from '../../api/client.ts';
import type { OutputOf } from '../../api/operation.ts';
import { readInvite } from '../../api/operations/invite.ts';
import { invalidLink } from '../../domain/invite.ts';

export type OpenLink = OutputOf<typeof readInvite>;

const tokenForm = /^[0-9a-f]{32}$/;

/**
 * Passes anything that can be a token; other texts are not sent to auth.
 * @throws CodedError `access_denied`, in the same words as auth for a link that does not work.
 */
export function checkToken(token: string): void {
  if (!tokenForm.test(token)) throw invalidLink();
}

/**
 * Opens an invite or reset link: from now on its page must show this one-time secret, and no earlier one.
 * @throws CodedError `access_denied`, the same for every link that does not work.
 */
export async function openLink(
  auth: Pick<AuthClient, 'call'>,
  token: string,
  clientAddress: string,
): Promise<OpenLink> {
  checkToken(token);
  return auth.call(readInvite, { token, clientAddress });
}

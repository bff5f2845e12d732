import { listLocks } from '../../api/operations/lock.ts';
import { deleteUser, resetUser as userReset, unlockUser as userUnlock } from '../../api/operations/user.ts';
import { CodedError } from '../../base/errors.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { listOf } from '../comma-list.ts';
import { formatGoDuration, parseTtl } from '../duration.ts';
import { withAuth } from './connect.ts';
import { removalText } from './removal-text.ts';
import { heardOrDone, orLost } from './lost-answer.ts';
import { linkAddress, printLink } from './user-link.ts';

/** `tctl users reset` */
export async function resetUser(invocation: Invocation, io: CliIo): Promise<number> {
  const username = invocation.arg('account') ?? '';
  const resetTtlSeconds = parseTtl(invocation.text('ttl') ?? '', '--ttl');
  await withAuth(invocation, io, async (auth, configuration) => {
    const made = await orLost(
      auth.call(userReset, { username, resetTtlSeconds }),
      'the same command makes another link',
    );
    const link = await linkAddress(auth, configuration);
    printLink(
      invocation,
      io,
      { username, path: `/web/reset/${made.resetToken}`, link, expiresAt: made.expiresAt },
      `User ${username} has been reset. Share this URL with the user to complete password reset, link is valid for ${formatGoDuration(resetTtlSeconds * 1000)}:`,
    );
  });
  return 0;
}

/** `tctl users rm` */
export async function removeUsers(invocation: Invocation, io: CliIo): Promise<number> {
  const names = listOf(invocation.arg('logins'));
  if (names.length === 0) throw new CodedError('bad_request', 'Need an argument: logins');
  await withAuth(invocation, io, async (auth) => {
    for (const username of names) {
      await heardOrDone(auth.call(deleteUser, { username }), io);
      io.stdout.write(`User "${username}" has been deleted\n`);
      const { locks } = await auth.call(listLocks, {});
      io.stderr.write(removalText(username, locks));
    }
  });
  return 0;
}

/** `tctl users unlock` */
export async function unlockUser(invocation: Invocation, io: CliIo): Promise<number> {
  const username = invocation.arg('account') ?? '';
  const answer = await withAuth(invocation, io, (auth) =>
    heardOrDone(auth.call(userUnlock, { username }), io),
  );
  io.stdout.write(
    answer?.unlocked !== false
      ? `User "${username}" has been unlocked: earlier failed logins no longer count\n`
      : `User "${username}" was not locked, and no login has failed\n`,
  );
  return 0;
}

import { listUsers as row } from '../../api/operations/user.ts';
import type { OutputOf } from '../../api/operation.ts';
import { printable } from '../../base/printable.ts';
import { type Instant, msBetween } from '../../base/time.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatGoDuration } from '../duration.ts';
import { formatTable } from '../table.ts';
import { wholeSeconds } from '../whole-seconds.ts';
import { withAuth } from './connect.ts';

type Listed = OutputOf<typeof row>['users'][number];

/** `tctl users ls` */
export async function listUsers(invocation: Invocation, io: CliIo): Promise<number> {
  const { users } = await withAuth(invocation, io, (auth) => auth.call(row, {}));
  io.stdout.write(
    invocation.text('format') === 'json'
      ? `${JSON.stringify(users, undefined, 4)}\n`
      : usersText(users, io.world.now()),
  );
  return 0;
}

/** The columns of 4.4 first. One for locks appears while somebody is locked. */
export function usersText(users: readonly Listed[], now: Instant): string {
  if (users.length === 0) return 'No users found\n';
  const locks = users.map(({ lock }) => lockText(lock, now));
  const anyLocked = locks.some((text) => text !== '');
  const rows = users.map((user, i) => [
    user.username,
    (user.traits['logins'] ?? []).join(','),
    user.roles.join(','),
    user.secondFactor ?? '',
    lastLogin(user),
    ...(anyLocked ? [locks[i] ?? ''] : []),
  ]);
  const titles = ['User', 'Allowed logins', 'Roles', 'Second factor', 'Last login'];
  return formatTable([...titles, ...(anyLocked ? ['Status'] : [])], rows);
}

function lastLogin({ lastLoginAt }: Listed): string {
  if (lastLoginAt === undefined) return '';
  return lastLoginAt === null ? 'never' : wholeSeconds(lastLoginAt);
}

/** The most addresses that are named. */
const namedAddresses = 3;

function lockText(lock: Listed['lock'], now: Instant): string {
  if (lock.status !== 'locked' || lock.until <= now) return '';
  const lasts = formatGoDuration(Math.ceil(msBetween(now, lock.until) / 1000) * 1000);
  return `locked for ${lasts}${whereFrom(lock.from)} (${lock.reason})`;
}

function whereFrom(sources: readonly string[] | undefined): string {
  if (sources === undefined) return '';
  const more = sources.length - namedAddresses;
  const named = sources.slice(0, namedAddresses).map(printable).join(', ');
  return ` from ${named}${more > 0 ? ` and ${more} more` : ''}`;
}

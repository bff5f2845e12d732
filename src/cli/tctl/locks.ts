import { createLock, deleteLock, listLocks as lockList } from '../../api/operations/lock.ts';
import { listUsers as userList } from '../../api/operations/user.ts';
import { CodedError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { lockKind, type LockKind, lockTargetOf } from '../../domain/lock.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { parseTtl } from '../duration.ts';
import { withAuth } from './connect.ts';
import { heardOrDone } from './lost-answer.ts';
import { lockedPasswords, lockResource, locksText, passwordResource } from './lock-text.ts';

const flags = lockKind.options.map((kind) => `--${kind}`);

/**
 * The target named by the flags of `tctl lock`. @throws CodedError `bad_request` unless it is exactly one.
 */
function targetIn(invocation: Invocation): { readonly kind: LockKind; readonly target: string } {
  const given = lockKind.options.flatMap((kind) => {
    const text = invocation.text(kind);
    return text === undefined ? [] : [{ kind, text }];
  });
  const [one, ...more] = given;
  if (one === undefined || more.length > 0)
    throw new CodedError('bad_request', `need exactly one of ${flags.join(', ')}`);
  return { kind: one.kind, target: lockTargetOf(one.kind, one.text).name };
}

/** `tctl lock` */
export async function lock(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const target = targetIn(invocation);
  const ttl = invocation.text('ttl');
  const message = invocation.text('message') ?? '';
  const ttlSeconds = ttl === undefined ? {} : { ttlSeconds: parseTtl(ttl, '--ttl') };
  const made = await ask(invocation, io, (auth) =>
    heardOrDone(auth.call(createLock, { ...target, message, ...ttlSeconds }), io),
  );
  if (made === undefined) {
    io.stderr.write('"tctl locks ls" prints the name of the lock\n');
    return 0;
  }
  if (!made.known)
    io.stderr.write(
      `warning: the cluster has no ${target.kind} ${JSON.stringify(printable(target.target))} now: check the spelling\n`,
    );
  if (made.unaware.length > 0)
    io.stderr.write(
      `warning: the lock does not hold on ${made.unaware.join(', ')}: their release knows of no locks, upgrade them\n`,
    );
  io.stdout.write(
    invocation.text('format') === 'json'
      ? `${JSON.stringify({ id: made.lockId, target: made.target, expires: made.expiresAt })}\n`
      : `Created a lock with name "${made.lockId}".\n`,
  );
  return 0;
}

/** `tctl locks ls`: locks, and passwords that failed logins have locked. */
export async function listLocks(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const [{ locks }, { users }] = await ask(invocation, io, (auth) =>
    Promise.all([auth.call(lockList, {}), auth.call(userList, {})]),
  );
  const now = io.world.now();
  const passwords = lockedPasswords(users, now);
  io.stdout.write(
    invocation.text('format') === 'json'
      ? `${JSON.stringify([...locks.map(lockResource), ...passwords.map(passwordResource)], undefined, 4)}\n`
      : locksText(locks, passwords, now),
  );
  return 0;
}

/** `tctl unlock` */
export async function unlock(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const lockId = (invocation.arg('id') ?? '').trim();
  if (lockId === '') throw new CodedError('bad_request', 'Need an argument: id');
  await ask(invocation, io, (auth) => heardOrDone(auth.call(deleteLock, { lockId }), io));
  io.stdout.write(`Lock "${lockId}" has been deleted\n`);
  return 0;
}

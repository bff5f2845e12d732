import { createLock, deleteLock, listLocks as lockList } from '../../api/operations/lock.ts';
import type { OutputOf } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { msBetween } from '../../base/time.ts';
import { lockKind, type LockKind, lockTargetOf, targetText } from '../../domain/lock.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatGoDuration, parseTtl } from '../duration.ts';
import { formatTable } from '../table.ts';
import { withAuth } from './connect.ts';

type Lock = OutputOf<typeof lockList>['locks'][number];

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
export async function lock(invocation: Invocation, io: CliIo): Promise<number> {
  const target = targetIn(invocation);
  const ttl = invocation.text('ttl');
  const message = invocation.text('message') ?? '';
  const ttlSeconds = ttl === undefined ? {} : { ttlSeconds: parseTtl(ttl, '--ttl') };
  const made = await withAuth(invocation, io, (auth) =>
    auth.call(createLock, { ...target, message, ...ttlSeconds }),
  );
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

/** `tctl locks ls` */
export async function listLocks(invocation: Invocation, io: CliIo): Promise<number> {
  const { locks } = await withAuth(invocation, io, (auth) => auth.call(lockList, {}));
  if (invocation.text('format') === 'json') {
    io.stdout.write(`${JSON.stringify(locks.map(resourceOf), undefined, 4)}\n`);
    return 0;
  }
  if (locks.length === 0) {
    io.stdout.write('No locks found.\n');
    return 0;
  }
  const now = io.world.now();
  io.stdout.write(
    formatTable(
      ['ID', 'Target', 'Message', 'Expires', 'By'],
      locks.map(({ lockId, target, message, expiresAt, by }) => [
        lockId,
        targetText(target),
        message,
        expiresAt === undefined ? 'never' : `${expiresAt} (${formatGoDuration(msBetween(now, expiresAt))})`,
        by,
      ]),
    ),
  );
  return 0;
}

/** `tctl unlock` */
export async function unlock(invocation: Invocation, io: CliIo): Promise<number> {
  const lockId = (invocation.arg('id') ?? '').trim();
  if (lockId === '') throw new CodedError('bad_request', 'Need an argument: id');
  await withAuth(invocation, io, (auth) => auth.call(deleteLock, { lockId }));
  io.stdout.write(`Lock "${lockId}" has been deleted\n`);
  return 0;
}

/** The form of the releases after 4.4. */
const resourceOf = ({ lockId, target, message, createdAt, expiresAt, by }: Lock): object => ({
  kind: 'lock',
  version: 'v2',
  metadata: { name: lockId, ...(expiresAt === undefined ? {} : { expires: expiresAt }) },
  spec: { target: { [target.kind]: target.name }, message, created_at: createdAt, created_by: by },
});

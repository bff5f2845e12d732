import { deleteLock as row } from '../../api/operations/lock.ts';
import { lock } from '../../domain/lock.ts';
import { lockStream } from '../../domain/streams.ts';
import { CodedError } from '../../base/errors.ts';
import { step, transact } from '../../log/execute.ts';
import { isLockKnown } from '../../views/locks.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';

/** @throws CodedError `not_found` for a lock that never existed, or was ended. */
export const deleteLock = implementing(row, async (deps, call, { lockId }) => {
  const asOf = await deps.views.fresh();
  // Only the id of a lock may become part of a stream's name.
  if (!isLockKnown(deps.views.locks.state(), lockId))
    throw new CodedError('not_found', `lock ${lockId} is not found`);
  const { position } = await transact(
    deps.log.state,
    [step(lock, lockStream(lockId), { type: 'end-lock', reason: 'unlocked' })],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: the end of a lock made no fact');
  await deps.views.reached(position);
  return { position };
});

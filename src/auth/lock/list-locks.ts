import { listLocks as row } from '../../api/operations/lock.ts';
import { locksInForce } from '../../views/locks.ts';
import { implementing } from '../implementing.ts';

/** Locks in force now, the oldest first. */
export const listLocks = implementing(row, async (deps) => {
  await deps.views.fresh();
  const locks = locksInForce(deps.views.locks.state(), deps.world.now()).map(({ id, ...lock }) => ({
    lockId: id,
    ...lock,
  }));
  return { locks };
});

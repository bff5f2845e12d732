import { createLock as row } from '../../api/operations/lock.ts';
import { hour, plusMs, second } from '../../base/time.ts';
import { reads } from '../../domain/critical.ts';
import { lock, type LockTarget, lockTargetOf } from '../../domain/lock.ts';
import { lockStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { allHosts } from '../../views/hosts.ts';
import { expiredLocks } from '../../views/locks.ts';
import { reportingHosts } from '../../views/reporting-hosts.ts';
import { lookUpRoles } from '../../views/roles.ts';
import { findUser } from '../../views/users.ts';
import type { AuthViews } from '../auth-views.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';

/** How long after its end a lock is removed, so that no clock of ours can still consider it in force. */
const forgottenAfterMs = 24 * hour;
/** The most that are removed with each new lock. */
const forgottenAtOnce = 16;

/**
 * Locks everything that has that name, at once, and whatever gets the name later. The same append removes
 * locks that expired long ago, so that readers do not keep them for ever.
 */
export const createLock = implementing(
  row,
  async (deps, call, { kind, target: text, message, ttlSeconds }) => {
    const target = lockTargetOf(kind, text);
    const asOf = await deps.views.fresh();
    const { world, views } = deps;
    const [lockId, now] = [world.uuid(), world.now()];
    const ttlMs = ttlSeconds === undefined ? undefined : ttlSeconds * second;
    const forgotten = expiredLocks(views.locks.state(), plusMs(now, -forgottenAfterMs)).slice(
      0,
      forgottenAtOnce,
    );
    const { position } = await transact(
      deps.log.state,
      [
        step(lock, lockStream(lockId), { type: 'create-lock', now, target, message, ttlMs }),
        ...forgotten.map((id) => step(lock, lockStream(id), { type: 'end-lock', reason: 'expired' })),
      ],
      causeOf(deps, call),
      termsOf(call, asOf),
    );
    if (position === undefined) throw new Error('bug: a new lock made no fact');
    await views.reached(position);
    const end = ttlMs === undefined ? {} : { expiresAt: plusMs(now, ttlMs) };
    return { lockId, target, ...end, known: isKnown(views, target), unaware: unawareHosts(views), position };
  },
);

const unawareHosts = ({ hosts, presence, clock }: AuthViews): string[] =>
  reportingHosts(hosts.state(), presence.state(), clock)
    .filter(({ understands }) => !reads(understands, 'locks'))
    .map(({ nodename, role, version }) => `${nodename} (${role} ${version})`);

function isKnown(views: AuthViews, { kind, name }: LockTarget): boolean {
  switch (kind) {
    case 'user':
      return findUser(views.users.state(), name) !== undefined;
    case 'role':
      return lookUpRoles(views.roles.state(), [name]).status === 'found';
    case 'node':
      return allHosts(views.hosts.state(), ['Node']).some(({ hostId, nodename }) =>
        [hostId, nodename].some((one) => one.toLowerCase() === name),
      );
    case 'login':
    case 'session':
    case 'serial':
      // These may not all be known here.
      return true;
  }
}

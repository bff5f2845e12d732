import { CodedError } from '../../../base/errors.ts';
import { msBetween, second } from '../../../base/time.ts';
import { isInForce, lockTargetOf } from '../../../domain/lock.ts';
import { type LockDocument, lockResourceKind, targetOfDocument } from '../../../domain/resources/lock.ts';
import { lockStream } from '../../../domain/streams.ts';
import { type LockEntry, locksInForce, locksView } from '../../../views/locks.ts';
import { getIn } from '../../../views/table.ts';
import { createLock } from '../../lock/create-lock.ts';
import { deleteLock } from '../../lock/delete-lock.ts';
import { listLocks } from '../../lock/list-locks.ts';
import { revisionOf } from '../revision.ts';
import { pastKind } from '../past-kind.ts';
import { removal, type ServedKind } from '../served-kind.ts';

type Listed = Awaited<ReturnType<typeof listLocks>>['locks'][number];

const documentOf = ({ lockId, target, message, createdAt, by, expiresAt }: Listed): LockDocument => ({
  kind: 'lock',
  version: 'v2',
  metadata: { name: lockId, ...(expiresAt !== undefined && { expires: expiresAt }) },
  spec: { target: { [target.kind]: target.name }, message, created_at: createdAt, created_by: by },
});

const documentThen = ({ id, ...lock }: LockEntry): LockDocument => documentOf({ ...lock, lockId: id });

const past = pastKind<'locks'>({
  view: 'locks',
  projection: locksView,
  stream: lockStream,
  find: (locks, name, at) => {
    const lock = getIn(locks.known, name);
    return lock === undefined || (at !== undefined && !isInForce(lock, at)) ? undefined : documentThen(lock);
  },
  isUnreadable: ({ known, unreadable }, name) =>
    getIn(known, name) === undefined && getIn(unreadable, name) !== undefined,
  all: (locks, at) => locksInForce(locks, at).map(documentThen),
});

/** Locks in force. One that a file makes gets an id of its own: `tctl unlock` takes that. */
export const servedLocks: ServedKind = {
  kind: lockResourceKind,
  past,
  list: async (deps, call) => (await listLocks(deps, call, {})).locks.map(documentOf),
  create: (deps, call, { document }) => {
    const lock = document as LockDocument;
    const { kind, text } = targetOfDocument(lock);
    const target = lockTargetOf(kind, text);
    const { expires } = lock.metadata;
    const ttlMs = expires === undefined ? undefined : msBetween(deps.world.now(), expires);
    if (ttlMs !== undefined && ttlMs < second)
      throw new CodedError('bad_request', `metadata.expires: ${expires ?? ''} is over`);
    return Promise.resolve({
      after: { ...lock, spec: { ...lock.spec, target: { [kind]: target.name } } },
      commit: async () => {
        const made = await createLock(deps, call, {
          kind,
          target: text,
          message: lock.spec.message ?? '',
          ...(ttlMs !== undefined && { ttlSeconds: Math.floor(ttlMs / second) }),
        });
        return made.position;
      },
    });
  },
  // A file that was printed can be applied again.
  update: (_deps, _call, { document, before }) => {
    if (before === undefined || revisionOf(before) !== revisionOf(document))
      throw new CodedError('bad_request', 'a lock is not changed: delete it and create another one');
    return Promise.resolve({ after: before, commit: () => Promise.resolve(undefined) });
  },
  remove: removal((deps, call, name) => deleteLock(deps, call, { lockId: name })),
};

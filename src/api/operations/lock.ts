import { z } from 'zod';
import { instant } from '../../base/time.ts';
import { lockKind, lockLimits, lockTarget } from '../../domain/lock.ts';
import { operation } from '../operation.ts';
import { cleanText, done, position } from './fields.ts';

const lockId = z.string().min(1).max(64);

/** Keeps a person, a role, a login, a node, a session or a certificate out from now on. */
export const createLock = operation({
  name: 'lock.create',
  who: ['Admin', 'operator'],
  resource: 'lock',
  verb: 'create',
  input: z.object({
    kind: lockKind,
    target: z.string().max(256),
    /** For whoever is refused by it. */
    message: cleanText(lockLimits.messageLength).default(''),
    /** Left out: until it is ended. */
    ttlSeconds: z.number().int().positive().optional(),
  }),
  output: z.object({
    lockId,
    target: lockTarget,
    expiresAt: instant.optional(),
    /** False when the cluster has no user, role or node of that name now: it is locked anyway. */
    known: z.boolean(),
    /** Live hosts of a release without locks: the lock has no effect there. */
    unaware: z.array(z.string()).default([]),
    position,
  }),
});

/** Locks in force now, the oldest first. */
export const listLocks = operation({
  name: 'lock.list',
  repeatable: true,
  who: ['Admin', 'operator'],
  resource: 'lock',
  verb: 'list',
  input: z.object({}),
  sift: ({ locks }, sees) => ({ locks: locks.filter(({ lockId }) => sees({ kind: 'lock', name: lockId })) }),
  output: z.object({
    locks: z.array(
      z.object({
        lockId,
        target: lockTarget,
        message: z.string(),
        createdAt: instant,
        /** The actor that locked. */
        by: z.string(),
        expiresAt: instant.optional(),
      }),
    ),
  }),
});

export const deleteLock = operation({
  name: 'lock.delete',
  who: ['Admin', 'operator'],
  resource: 'lock',
  verb: 'delete',
  input: z.object({ lockId }),
  about: ({ lockId: name }) => ({ kind: 'lock', name }),
  output: done,
});

import { z } from 'zod';
import { partitions, type Partition } from '../../log/event.ts';
import { signedHead } from '../../log/signed-head.ts';
import { operation } from '../operation.ts';
import { outlook } from './outlook.ts';

const count = z.number().int().nonnegative();
const figures = z.record(z.string(), z.number());
const partition = z.enum([...partitions] as [Partition, ...Partition[]]);

export const partitionInfo = z.object({
  partition,
  firstSlot: count,
  slot: count,
  position: count,
  streams: count,
  followers: count,
  lag: count,
  waitingAppends: count,
  waitingBytes: count,
  appends: count,
  conflicts: count,
  ambiguous: count,
  slowestCommitMs: z.number(),
  eventsSinceSnapshot: count,
  snapshots: z.array(
    z.object({
      slot: count,
      bytes: count,
      position: count.optional(),
      takenAt: z.string().optional(),
      fault: z.string().optional(),
    }),
  ),
  lastCompaction: z.object({ at: z.string(), by: z.string() }).optional(),
  signedHead: signedHead.optional(),
  unsigned: count,
  wentBack: z.string().optional(),
  /** The first slot that has a MAC; absent while none has, or from a server without MACs. */
  authenticFrom: count.optional(),
  /**
   * What was appended within a window; absent when too little is known, or from a server that does not
   * measure it.
   */
  growth: z
    .object({
      from: z.string(),
      until: z.string(),
      events: count,
      bytes: count,
      measured: z.enum(['whole', 'sampled']),
    })
    .optional(),
});

/** As `ArchiveInfo` of the log. */
const archiveInfo = z.object({
  keptMs: count,
  retentionMs: count.optional(),
  found: z
    .object({
      place: z.string(),
      segments: count,
      bytes: count,
      firstSlot: count,
      lastSlot: count,
      from: z.string().optional(),
      until: z.string().optional(),
      deletedUntil: z.string().optional(),
    })
    .optional(),
  trouble: z.string().optional(),
});

/** The log as the auth server that replies sees it: what is in the store, and what only that server knows. */
export const readLogInfo = operation({
  name: 'log.info',
  repeatable: true,
  who: ['Admin'],
  resource: 'log',
  verb: 'read',
  input: z.object({}),
  output: z.object({
    hostId: z.string(),
    store: z.object({ type: z.string(), place: z.string(), trouble: z.string().optional(), figures }),
    /** Empty when all is well. */
    trouble: z.string(),
    keys: z.array(z.object({ keyId: z.string(), publicKey: z.string() })),
    partitions: z.array(partitionInfo),
    /** For how long the store has space; absent from a server that does not compute it. */
    outlook: outlook.optional(),
    /** Where `audit` goes; absent where it is kept in the store. */
    archive: archiveInfo.optional(),
    witnesses: z.array(
      z.object({
        target: z.string(),
        sent: count,
        waiting: count,
        dropped: count,
        lastSentAt: z.string().optional(),
        failing: z.object({ since: z.string(), reason: z.string() }).optional(),
      }),
    ),
  }),
});

const missingEvents = z.array(
  z.object({ position: count, stream: z.string(), type: z.string(), at: z.string() }),
);

/** What the auth server that replies knows, and what its store contains; see `src/log/recovery.ts`. */
export const recoveryReport = z.object({
  partition,
  status: z.enum(['whole', 'went back']),
  known: count,
  head: count,
  common: count.optional(),
  held: missingEvents,
  forgotten: count,
  withoutMacs: z.literal(true).optional(),
});

export const recoveredPartition = z.object({
  partition,
  status: z.enum(['was whole', 'given back', 'went on']),
  givenBack: missingEvents,
  lost: missingEvents,
  forgotten: count,
});

export const readRecovery = operation({
  name: 'log.recovery',
  repeatable: true,
  who: ['Admin'],
  resource: 'log',
  verb: 'read',
  input: z.object({}),
  output: z.object({ hostId: z.string(), partitions: z.array(recoveryReport) }),
});

export const recoverLog = operation({
  name: 'log.recover',
  who: ['Admin'],
  resource: 'log',
  verb: 'update',
  input: z.object({ step: z.enum(['give back', 'go on']) }),
  output: z.object({ hostId: z.string(), partitions: z.array(recoveredPartition) }),
});

/**
 * The outcome of an earlier call of the same caller whose response was lost, whichever auth server it went
 * to. It is found by its request id, which is in the cause of every event that it made. Examines the newest
 * events of `state`.
 */
export const readRequestOutcome = operation({
  name: 'request.outcome',
  repeatable: true,
  who: ['Admin', 'user', 'Proxy', 'Node'],
  resource: 'log',
  verb: 'read',
  input: z.object({ requestId: z.string().min(1).max(64) }),
  output: z.object({
    /** Of its last event on the log; absent when none is there now. */
    position: z.number().int().positive().optional(),
    /** Events that were examined. */
    looked: z.number().int().nonnegative(),
  }),
});

import { z } from 'zod';
import { partitions, type Partition } from '../log/event.ts';
import { signedHead } from '../log/signed-head.ts';
import { operation } from './operation.ts';

const count = z.number().int().nonnegative();
const figures = z.record(z.string(), z.number());

export const partitionInfo = z.object({
  partition: z.enum([...partitions] as [Partition, ...Partition[]]),
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
  /** The first slot that has a MAC; absent while none has, or from a server that knows of none. */
  authenticFrom: count.optional(),
});

/** The log as the auth server that answers sees it: what lies in the store, and what only that server knows. */
export const readLogInfo = operation({
  name: 'log.info',
  repeatable: true,
  who: ['Admin'],
  input: z.object({}),
  output: z.object({
    hostId: z.string(),
    store: z.object({ type: z.string(), place: z.string(), trouble: z.string().optional(), figures }),
    /** Empty when all is well. */
    trouble: z.string(),
    keys: z.array(z.object({ keyId: z.string(), publicKey: z.string() })),
    partitions: z.array(partitionInfo),
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

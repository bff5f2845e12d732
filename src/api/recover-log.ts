import { z } from 'zod';
import { type Partition, partitions } from '../log/event.ts';
import { operation } from './operation.ts';

const count = z.number().int().nonnegative();
const partition = z.enum([...partitions] as [Partition, ...Partition[]]);
const missingEvents = z.array(
  z.object({ position: count, stream: z.string(), type: z.string(), at: z.string() }),
);

/** What the auth server that answers knows, and what its store holds; see `src/log/recovery.ts`. */
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
  input: z.object({}),
  output: z.object({ hostId: z.string(), partitions: z.array(recoveryReport) }),
});

export const recoverLog = operation({
  name: 'log.recover',
  who: ['Admin'],
  input: z.object({ step: z.enum(['give back', 'go on']) }),
  output: z.object({ hostId: z.string(), partitions: z.array(recoveredPartition) }),
});

import { z } from 'zod';
import type { EventLog } from './event-log.ts';
import type { Partition } from './event.ts';
import { recoveryStream } from './recovery-stream.ts';

/**
 * Slots `after < slot <= upTo` contained events that a recovery has settled since; some may have been written
 * back.
 */
export interface LostBranch {
  readonly after: number;
  readonly upTo: number;
}

const recovered = z.object({
  type: z.literal('log.recovered'),
  data: z.object({ known: z.object({ slot: z.number() }), common: z.number().nullable() }),
});

/** The records of the log's own recoveries. */
export async function lostBranches(log: Pick<EventLog, 'read'>, partition: Partition): Promise<LostBranch[]> {
  const branches: LostBranch[] = [];
  for await (const { fact } of log.read(recoveryStream(partition))) {
    const parsed = recovered.safeParse(fact);
    if (parsed.success)
      branches.push({ after: parsed.data.data.common ?? 0, upTo: parsed.data.data.known.slot });
  }
  return branches;
}

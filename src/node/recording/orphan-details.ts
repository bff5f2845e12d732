import { z } from 'zod';
import { instant } from '../../base/time.ts';

/** What the end of a session needs beside its recording, where the process that served it is gone. */
export const orphanDetails = z.object({
  user: z.string(),
  login: z.string(),
  requestId: z.string(),
  startedAt: instant,
  addresses: z.record(z.string(), z.string()),
});
export type OrphanDetails = z.infer<typeof orphanDetails>;

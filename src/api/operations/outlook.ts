import { z } from 'zod';

const count = z.number().int().nonnegative();

/** For how long a store has space, as `log/growth.ts` computes it. */
export const outlook = z.discriminatedUnion('status', [
  z.object({
    status: z.literal('lasts'),
    freeBytes: count,
    of: z.enum(['disk', 'quota']),
    bytesPerDay: count,
    days: z.number().nonnegative().optional(),
  }),
  z.object({ status: z.literal('without end') }),
  z.object({ status: z.literal('not known'), why: z.string() }),
]);

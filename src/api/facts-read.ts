import { z } from 'zod';

/** Which level of facts a cluster can be written for now (`domain/critical.ts`). */
export const factsRead = z.object({
  /** The lowest that a live host reads. */
  level: z.number(),
  /** What the auth server that answers reads. */
  own: z.number(),
  /** Some of those who read no more than `level`, and how many there are. */
  hosts: z.array(z.string()),
  count: z.number(),
});

import { z } from 'zod';

/** The level of facts that may be written in a cluster now (`domain/critical.ts`). */
export const factsRead = z.object({
  /** The lowest that a live host reads. */
  level: z.number(),
  /** The level of the auth server that replies. */
  own: z.number(),
  /** Some of the hosts that read no more than `level`, and how many there are. */
  hosts: z.array(z.string()),
  count: z.number(),
});

import { z } from 'zod';
import { operation } from './operation.ts';

/**
 * What became of an earlier call of the same caller whose answer did not come, whichever auth server it went to: by its
 * request id, which lies in the cause of every event that it made. Looks at the newest events of `state`.
 */
export const readRequestOutcome = operation({
  name: 'request.outcome',
  repeatable: true,
  who: ['Admin', 'Proxy', 'Node'],
  input: z.object({ requestId: z.string().min(1).max(64) }),
  output: z.object({
    /** Of its last event on the log; absent when none is there now. */
    position: z.number().int().positive().optional(),
    /** Events that were looked at. */
    looked: z.number().int().nonnegative(),
  }),
});

import type { CallerLimits } from '../api/server-deps.ts';
import { whoseCalls } from './quota-rules.ts';
import type { Quotas } from './quotas.ts';

/** Calls and followed logs of one machine or person, over all its connections to this server. */
export const callerLimits = (quotas: Quotas): CallerLimits => ({
  call: (caller) => {
    const whose = whoseCalls(caller);
    if (whose) quotas.take(whose, { calls: 1 });
  },
  follow: (caller) => {
    const whose = whoseCalls(caller);
    return whose ? quotas.hold(whose) : () => undefined;
  },
});

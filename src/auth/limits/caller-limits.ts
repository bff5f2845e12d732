import type { CallerLimits } from '../../api/server-deps.ts';
import { whoseCalls } from './quota-rules.ts';
import type { Quotas } from './quotas.ts';

/** Calls and followed logs of one machine or person, over all its connections to this server. */
export const callerLimits = (quotas: Quotas): CallerLimits => ({
  call: (caller, who) => {
    // What only proxies call they call for people, whose addresses are limited by gates: no flood of one
    // takes it from others.
    if (who.every((one) => one === 'Proxy')) return;
    const whose = whoseCalls(caller);
    if (whose) quotas.take(whose, { calls: 1 });
  },
  follow: (caller) => {
    const whose = whoseCalls(caller);
    return whose ? quotas.hold(whose) : () => undefined;
  },
});

import type { CallerLimits } from '../../api/server-deps.ts';
import { whoseCalls } from './quota-rules.ts';
import type { Quotas } from './quotas.ts';

/** Calls and followed logs of one machine or person, over all its connections to this server. */
export const callerLimits = (quotas: Quotas): CallerLimits => ({
  call: (caller, { who, ofRecordings }) => {
    // Calls that only proxies make are made for people, whose addresses the gates limit: a flood from one
    // must not use up the others' share.
    if (who.every((one) => one === 'Proxy')) return;
    const whose = whoseCalls(caller);
    if (whose) quotas.take(whose, ofRecordings === true ? { recording_calls: 1 } : { calls: 1 });
  },
  follow: (caller) => {
    const whose = whoseCalls(caller);
    return whose ? quotas.hold(whose) : () => undefined;
  },
});

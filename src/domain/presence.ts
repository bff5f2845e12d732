import { z } from 'zod';
import { instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { systemRole } from './host-info.ts';

/** `ttlSeconds` 0 says that the host is going away now. */
export const renewal = z.object({
  hostId: z.string(),
  role: systemRole,
  seenAt: instant,
  ttlSeconds: z.number().int().nonnegative(),
});
export type Renewal = z.infer<typeof renewal>;

export const presenceFact = z.object({
  type: z.literal('hosts.renewed'),
  data: z.object({ hosts: z.array(renewal).min(1) }),
});
export type PresenceFact = z.infer<typeof presenceFact>;

export interface RenewHosts {
  readonly type: 'renew-hosts';
  readonly hosts: readonly Renewal[];
}

/** An event may have 64 KB; a renewal takes about 120 B. */
const maxHostsInFact = 400;
/** 200 KB: a batch that every store takes, with room for what it is wrapped in. */
const maxFactsInAppend = 4;

/** Heartbeats, coalesced: one fact for all that were heard in a few seconds, more only when they are many. */
export const presence: Decider<null, RenewHosts, PresenceFact> = {
  fact: presenceFact,
  initial: null,
  decide(_state, { hosts }) {
    const facts: PresenceFact[] = [];
    for (let at = 0; at < hosts.length; at += maxHostsInFact)
      facts.push({ type: 'hosts.renewed', data: { hosts: hosts.slice(at, at + maxHostsInFact) } });
    return facts;
  },
  evolve: () => null,
};

/** The facts as they may be appended together, in order: a whole cluster's would be more than a store takes at once. */
export function appendsOf(facts: readonly PresenceFact[]): readonly (readonly PresenceFact[])[] {
  const appends: (readonly PresenceFact[])[] = [];
  for (let at = 0; at < facts.length; at += maxFactsInAppend)
    appends.push(facts.slice(at, at + maxFactsInAppend));
  return appends;
}

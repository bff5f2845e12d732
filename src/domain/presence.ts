import { z } from 'zod';
import { hour, instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { systemRole } from './host-info.ts';
import { utf8Bytes } from './label-limits.ts';
import { liveSessions } from './live-sessions.ts';
import { sentAdopted } from './rotation-mark.ts';
import { writerReads } from './writer-reads.ts';

/** The longest absence that is measured: nobody who was not heard of is remembered for longer. */
export const longestAbsenceMs = 90 * 24 * hour;

const bytesOf = (part: unknown): number => (part === undefined ? 0 : utf8Bytes(JSON.stringify(part)));

/** So many bytes of their names fit into a heartbeat. */
const mostLeafBytes = 8 * 1024;
export const leavesHeld = z
  .array(z.string().max(255))
  .max(256)
  .refine((names) => bytesOf(names) <= mostLeafBytes, 'too many clusters hang on one proxy');

/** `ttlSeconds` 0 means that the host is going away now. */
export const renewal = z.object({
  hostId: z.string(),
  role: systemRole,
  seenAt: instant,
  ttlSeconds: z.number().int().nonnegative(),
  /** What the programs of its measured labels print now. */
  labels: z.record(z.string(), z.string()).optional(),
  /**
   * How far it follows the rotations of the authorities; absent before the first. A value of another form is
   * ignored, and the rest of the heartbeat still counts.
   */
  adopted: sentAdopted.optional().catch(undefined),
  /** It is being stopped. It stays listed until its time is over, but nobody waits for it. */
  leaving: z.literal(true).optional().catch(undefined),
  /** Why it cannot renew its certificates, in its own words; absent while it can. */
  trouble: z.string().optional().catch(undefined),
  /** Host ids of the proxies that it hangs on; absent for a host that is reached at an address. */
  proxies: z.array(z.string()).max(64).optional().catch(undefined),
  /** Proxies: the clusters that hang on it, by name; absent where none does. */
  leaves: leavesHeld.optional().catch(undefined),
  /** Nodes: the sessions with a terminal that run there now; absent where they are as they were told last. */
  sessions: liveSessions.optional().catch(undefined),
});
export type Renewal = z.infer<typeof renewal>;

export const presenceFact = z.object({
  type: z.literal('hosts.renewed'),
  /**
   * A renewal of a role that this release does not know, or of another form, is left out; the others still
   * count.
   */
  data: z.object({
    hosts: z
      .array(z.unknown())
      .min(1)
      .transform((hosts) => hosts.flatMap((one) => renewal.safeParse(one).data ?? [])),
  }),
});
export type PresenceFact = z.infer<typeof presenceFact>;

export interface RenewHosts {
  readonly type: 'renew-hosts';
  readonly hosts: readonly Renewal[];
}

/**
 * An event may have 64 KB. One renewal has 120 B, its marks of adoption, its trouble, its proxies, its leaves
 * or its sessions, and its label values; escaped, those take at most twice the limit of all labels (16 KB).
 */
const maxFactBytes = 48 * 1024;
const renewalBytes = 120;
/** 192 KB: a batch that every store accepts, with room for its envelope. */
const maxFactsInAppend = 4;

/** Heartbeats, coalesced: one fact for all that arrived within a few seconds, or more when there are many. */
export const presence: Decider<null, RenewHosts, PresenceFact> = {
  fact: writerReads(presenceFact),
  initial: null,
  decide(_state, { hosts }) {
    const facts: Renewal[][] = [];
    let left = 0;
    for (const one of hosts) {
      const parts = [one.labels, one.adopted, one.trouble, one.proxies, one.leaves, one.sessions];
      const bytes = parts.reduce((sum, part) => sum + bytesOf(part), renewalBytes);
      if (bytes > left) {
        facts.push([]);
        left = maxFactBytes;
      }
      facts.at(-1)?.push(one);
      left -= bytes;
    }
    return facts.map((some) => ({ type: 'hosts.renewed', data: { hosts: some } }));
  },
  evolve: () => null,
};

/**
 * The facts in groups that may be appended together, in order: those of a whole cluster would be more than a
 * store accepts at once.
 */
export function appendsOf(facts: readonly PresenceFact[]): readonly (readonly PresenceFact[])[] {
  const appends: (readonly PresenceFact[])[] = [];
  for (let at = 0; at < facts.length; at += maxFactsInAppend)
    appends.push(facts.slice(at, at + maxFactsInAppend));
  return appends;
}

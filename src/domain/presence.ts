import { z } from 'zod';
import { instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import { systemRole } from './host-info.ts';
import { utf8Bytes } from './label-limits.ts';
import { sentAdopted } from './rotation-mark.ts';
import { writerReads } from './writer-reads.ts';

/** `ttlSeconds` 0 says that the host is going away now. */
export const renewal = z.object({
  hostId: z.string(),
  role: systemRole,
  seenAt: instant,
  ttlSeconds: z.number().int().nonnegative(),
  /** What the programs of its measured labels print now. */
  labels: z.record(z.string(), z.string()).optional(),
  /**
   * How far it follows the rotations of the authorities; absent before the first. What has another form says
   * nothing of that, and the host was heard all the same.
   */
  adopted: sentAdopted.optional().catch(undefined),
  /** It is stopped by somebody. It is listed for its time, but nobody waits for it. */
  leaving: z.literal(true).optional().catch(undefined),
  /** Why it cannot renew its certificates, in its own words; absent while it can. */
  trouble: z.string().optional().catch(undefined),
});
export type Renewal = z.infer<typeof renewal>;

export const presenceFact = z.object({
  type: z.literal('hosts.renewed'),
  /**
   * One that is of a role that this release does not know, or of another form, is left out: the others were
   * heard all the same.
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
 * An event may have 64 KB. Of one renewal: 120 B, what it adopted, its trouble, and what its labels have;
 * twice that of all labels (16 KB) at most, escaped.
 */
const maxFactBytes = 48 * 1024;
const renewalBytes = 120;
/** 192 KB: a batch that every store takes, with room for what it is wrapped in. */
const maxFactsInAppend = 4;

/** Heartbeats, coalesced: one fact for all that were heard in a few seconds, more only when they are many. */
export const presence: Decider<null, RenewHosts, PresenceFact> = {
  fact: writerReads(presenceFact),
  initial: null,
  decide(_state, { hosts }) {
    const facts: Renewal[][] = [];
    let left = 0;
    for (const one of hosts) {
      const bytes = renewalBytes + bytesOf(one.labels) + bytesOf(one.adopted) + bytesOf(one.trouble);
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

const bytesOf = (part: object | string | undefined): number =>
  part === undefined ? 0 : utf8Bytes(JSON.stringify(part));

/**
 * The facts as they may be appended together, in order: a whole cluster's would be more than a store takes at
 * once.
 */
export function appendsOf(facts: readonly PresenceFact[]): readonly (readonly PresenceFact[])[] {
  const appends: (readonly PresenceFact[])[] = [];
  for (let at = 0; at < facts.length; at += maxFactsInAppend)
    appends.push(facts.slice(at, at + maxFactsInAppend));
  return appends;
}

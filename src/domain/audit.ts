import { z } from 'zod';
import type { Decider } from '../log/decider.ts';
import { auditEvent, type AuditEvent } from './audit-event.ts';
import { emptyRecent, type Recent, remember, remembers } from './recent.ts';

export const auditFact = z.object({
  type: z.literal('audit.recorded'),
  data: z.object({ event: auditEvent }),
});
export type AuditFact = z.infer<typeof auditFact>;

export interface RecordAudit {
  readonly type: 'record-audit';
  readonly events: readonly AuditEvent[];
}

/** The `uid`s a stream saw last. */
export type AuditState = Recent;

/**
 * One stream of the audit partition. An event whose `uid` is among the last 2,048 of its stream is not stored again:
 * that is more than a sender keeps between delivering and forgetting.
 */
export const audit: Decider<AuditState, RecordAudit, AuditFact> = {
  fact: auditFact,
  initial: emptyRecent,
  decide(state, { events }) {
    const facts: AuditFact[] = [];
    const mine = new Set<string>();
    for (const event of events) {
      if (mine.has(event.uid) || remembers(state, event.uid)) continue;
      mine.add(event.uid);
      facts.push({ type: 'audit.recorded', data: { event } });
    }
    return facts;
  },
  evolve: (state, fact) => remember(state, fact.data.event.uid),
};

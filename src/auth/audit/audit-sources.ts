import { auditFact } from '../../domain/audit.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import { auditFromState } from '../../domain/audit-from-state.ts';
import type { Partition, Recorded } from '../../log/event.ts';
import type { Terms } from '../../log/terms.ts';
import { termsOfEvent, type Wanted } from './wanted-events.ts';

/** A partition that audit events are found in. */
export interface AuditSource {
  readonly partition: Partition;
  readonly terms: Terms;
  /** Those of one recorded event that are wanted. */
  readonly found: (recorded: Recorded, wanted: Wanted) => readonly ParsedAuditEvent[];
  /** Whether `audit` may have the same event. */
  readonly mayRepeat: (recorded: Recorded) => boolean;
}

/** Everything that is searched; `audit` is the last. */
export const auditSources: readonly AuditSource[] = [
  {
    partition: 'state',
    // Releases differ in what is told of facts: `audit-sources.test.ts` says when this must be raised.
    terms: {
      name: 'told.1',
      of: (recorded) => auditFromState(recorded).flatMap((e) => [...termsOfEvent(e)]),
    },
    found: (recorded, wanted) => auditFromState(recorded).filter(wanted),
    // `audit` seemed to have no space for it.
    mayRepeat: ({ stream }) => stream.startsWith('audit-'),
  },
  {
    partition: 'audit',
    terms: { name: 'reported.1', of: (recorded) => termsOfEvent(reportedIn(recorded) ?? {}) },
    found: reported,
    mayRepeat: () => false,
  },
];

function reportedIn({ fact }: Recorded): object | undefined {
  const { event } = fact.data as { readonly event?: unknown };
  return typeof event === 'object' && event !== null ? event : undefined;
}

/** A schema costs much more than the few fields that decide. */
function reported(recorded: Recorded, wanted: Wanted): readonly ParsedAuditEvent[] {
  const event = reportedIn(recorded);
  if (event === undefined || !wanted(event)) return [];
  const fact = auditFact.safeParse(recorded.fact).data;
  return fact === undefined ? [] : [fact.data.event];
}

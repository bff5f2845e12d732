import type { z } from 'zod';
import type { searchAudit as operation } from '../api/operations.ts';
import { CodedError } from '../base/errors.ts';
import { minute, plusMs } from '../base/time.ts';
import { auditFact } from '../domain/audit.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Recorded } from '../log/event.ts';
import { auditFromState } from '../domain/audit-from-state.ts';
import type { AuthDeps } from './deps.ts';
import { newest } from './newest.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/** An event is on the log after it happened, by the clock of its host, which may be ahead of ours by so much. */
const clockSkewMs = 5 * minute;

/** What happened in [`from`, `to`), told by hosts or by the facts of `state`; ascending by time, then `ei`. */
export async function searchAudit(deps: AuthDeps, input: Input): Promise<Output> {
  const { from, to, limit } = input;
  if (to <= from) throw new CodedError('bad_request', 'to: must be later than from');
  const found = newest<AuditEvent>(limit, byTime);
  const wanted = wantedBy(input);
  /** An event that `audit` seemed to have no room for may be in both. */
  const ofReserve = new Set<string>();
  await collect(deps.log.state, from, auditFromState, (event, { stream }) => {
    if (!wanted(event)) return;
    if (stream.startsWith('audit-')) ofReserve.add(event.uid);
    found.add(event);
  });
  await collect(deps.log.audit, from, ofAudit, (event) => {
    if (wanted(event) && !ofReserve.has(event.uid)) found.add(event);
  });
  const events = found.sorted();
  return { events, truncated: found.truncated() };
}

/** Reads to the end: an event that waited in a spool is on the log long after it happened. */
async function collect(
  log: EventLog,
  from: string,
  read: (recorded: Recorded) => readonly AuditEvent[],
  add: (event: AuditEvent, recorded: Recorded) => void,
): Promise<void> {
  const after = await log.positionBefore(plusMs(from, -clockSkewMs));
  for await (const recorded of log.history(after)) {
    for (const event of read(recorded)) add(event, recorded);
  }
}

function ofAudit(recorded: Recorded): readonly AuditEvent[] {
  const fact = auditFact.safeParse(recorded.fact);
  return fact.success ? [fact.data.data.event] : [];
}

function wantedBy({ from, to, types, user }: Input): (event: AuditEvent) => boolean {
  const oneOf = new Set(types);
  return (event) =>
    event.time >= from &&
    event.time < to &&
    (oneOf.size === 0 || oneOf.has(event.event)) &&
    (user === '' || event.user === user || event['name'] === user);
}

function byTime(a: AuditEvent, b: AuditEvent): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.ei - b.ei || (a.uid < b.uid ? -1 : 1);
}

import type { z } from 'zod';
import { searchAudit as row } from '../../api/operations/audit.ts';
import { CodedError } from '../../base/errors.ts';
import { type Instant, minute, plusMs } from '../../base/time.ts';
import { auditFact } from '../../domain/audit.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Recorded } from '../../log/event.ts';
import { reportedSkewMs } from '../../domain/reported-event.ts';
import { auditFromState } from '../../domain/audit-from-state.ts';
import { implementing } from '../implementing.ts';
import { newest } from '../newest.ts';

type Input = z.output<typeof row.input>;

/**
 * An event is on the log after it happened, by the clock of its host. That clock may have been ahead of the
 * clock of the auth server that stored the event by this much, whichever of the two was wrong. For a larger
 * difference the caller needs an earlier `from`.
 */
const clockSkewMs = reportedSkewMs;
/**
 * A search for everything until now also includes events stamped slightly later, in case the host's clock or
 * ours is off.
 */
const nowMs = 5 * minute;

/** About ten thousand usual events; fewer when they contain long commands. */
const longestAnswer = 8 * 1024 * 1024;
const bytesOf = (event: ParsedAuditEvent): number => Buffer.byteLength(JSON.stringify(event));

/**
 * What happened in [`from`, `to`), reported by hosts or derived from the facts of `state`; ascending by time,
 * then `ei`. An event has the time by the clock of whoever reported it. Events stamped in the future are
 * included whenever `to` is now or later: they have happened.
 */
export const searchAudit = implementing(row, async (deps, _call, input) => {
  const { from, to, limit } = input;
  if (to <= from) throw new CodedError('bad_request', 'to: must be later than from');
  const found = newest<ParsedAuditEvent>({ items: limit, bytes: longestAnswer, bytesOf }, byTime);
  const wanted = wantedBy(input, deps.world.now());
  /** An event for which `audit` seemed to have no space may be in both. */
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
});

/** Reads to the end: an event that waited in a spool reaches the log long after it happened. */
async function collect(
  log: EventLog,
  from: string,
  read: (recorded: Recorded) => readonly ParsedAuditEvent[],
  add: (event: ParsedAuditEvent, recorded: Recorded) => void,
): Promise<void> {
  const after = await log.positionBefore(plusMs(from, -clockSkewMs));
  for await (const recorded of log.history(after)) {
    for (const event of read(recorded)) add(event, recorded);
  }
}

function ofAudit(recorded: Recorded): readonly ParsedAuditEvent[] {
  const fact = auditFact.safeParse(recorded.fact);
  return fact.success ? [fact.data.data.event] : [];
}

function wantedBy({ from, to, types, user }: Input, now: Instant): (event: ParsedAuditEvent) => boolean {
  const oneOf = new Set(types);
  const untilNow = to >= plusMs(now, -nowMs);
  return (event) =>
    event.time >= from &&
    (event.time < to || (untilNow && event.time >= now)) &&
    (oneOf.size === 0 || oneOf.has(event.event)) &&
    (user === '' || event.user === user || event['name'] === user);
}

function byTime(a: ParsedAuditEvent, b: ParsedAuditEvent): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.ei - b.ei || (a.uid < b.uid ? -1 : 1);
}

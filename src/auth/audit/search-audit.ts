import type { z } from 'zod';
import { searchAudit as row } from '../../api/operations/audit.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { AuthDeps } from '../deps.ts';
import type { Deadline } from '../../base/deadline.ts';
import { type Instant, minute, plusMs } from '../../base/time.ts';
import { turns } from '../../base/turns.ts';
import { auditFact } from '../../domain/audit.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import type { ClusterLog, EventLog } from '../../log/event-log.ts';
import type { Position, Recorded } from '../../log/event.ts';
import { lockOf } from '../../log/keyed-lock.ts';
import { reportedSkewMs } from '../../domain/reported-event.ts';
import { auditFromAttempts, auditFromState } from '../../domain/audit-from-state.ts';
import { implementing } from '../implementing.ts';
import { newest } from '../newest.ts';
import { backwards, lastArrived } from './newest-events.ts';

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

interface Search extends Pick<Input, 'from' | 'limit'> {
  /** What follows in `attempts` is not in the audit. */
  readonly attemptsAfter: Position;
  readonly wanted: Wanted;
  readonly pace: () => Promise<void>;
}

interface Found {
  readonly events: ParsedAuditEvent[];
  readonly truncated: boolean;
}

/**
 * What happened in [`from`, `to`), reported by hosts or derived from the facts of `state`; ascending by time,
 * then `ei`. An event has the time by the clock of whoever reported it. Events stamped in the future are
 * included whenever `to` is now or later: they have happened.
 *
 * Where there are more than wanted, those are given that reached the log last when `to` is now: a machine
 * whose clock is ahead does not push out what others report. When `to` is past, those that happened last.
 */
export const searchAudit = implementing(row, async (deps, call, input) => {
  if (input.to <= input.from) throw new CodedError('bad_request', 'to: must be later than from');
  const pace = paceOf(call.deadline);
  const now = deps.world.now();
  const untilNow = input.to >= plusMs(now, -nowMs);
  const search = untilNow ? searchFromEnd : searchAll;
  const attemptsAfter = await toldAttempts(deps);
  // A search reads much, so each auth server makes one at a time.
  return lockOf(deps.log.audit).hold(['search'], () =>
    search(deps.log, { ...input, attemptsAfter, wanted: wantedBy(input, untilNow ? now : undefined), pace }),
  );
});

/** When the audit takes nothing, what it was not told is read where it is. */
async function toldAttempts({ attemptsTeller }: Pick<AuthDeps, 'attemptsTeller'>): Promise<Position> {
  try {
    await attemptsTeller.tell();
  } catch (e) {
    if (!isCoded(e)) throw e;
  }
  return attemptsTeller.toldUntil();
}

/** Reads no more than it takes to find so many. */
async function searchFromEnd(log: ClusterLog, { from, limit, attemptsAfter, wanted, pace }: Search): Promise<Found> {
  const events: ParsedAuditEvent[] = [];
  let [bytes, truncated] = [0, false];
  const ofBoth = [
    { log: log.state, found: (recorded: Recorded) => auditFromState(recorded).filter(wanted) },
    {
      log: log.audit,
      found: (recorded: Recorded) => [ofAudit(recorded, wanted)].filter((event) => event !== undefined),
    },
  ];
  const sources = await Promise.all(
    ofBoth.map(async ({ log: one, found }) => {
      const after = await one.positionBefore(plusMs(from, -clockSkewMs));
      return { recorded: backwards(one, after, pace), found };
    }),
  );
  sources.push({
    recorded: backwards(log.attempts, attemptsAfter, pace),
    found: (recorded) => auditFromAttempts(recorded).filter(wanted),
  });
  await lastArrived(sources, (event) => {
    bytes += bytesOf(event);
    truncated = events.length === limit || (bytes > longestAnswer && events.length > 0);
    if (!truncated) events.push(event);
    return truncated;
  });
  return { events: events.sort(byTime), truncated };
}

/** Reads to the end of the log: what happened long ago may have been reported much later. */
async function searchAll(log: ClusterLog, { from, limit, attemptsAfter, wanted, pace }: Search): Promise<Found> {
  const found = newest<ParsedAuditEvent>({ items: limit, bytes: longestAnswer, bytesOf }, byTime);
  /** An event for which `audit` seemed to have no space may be in both. */
  const ofReserve = new Set<string>();
  for await (const recorded of since(log.state, from, pace))
    for (const event of auditFromState(recorded)) {
      if (!wanted(event)) continue;
      if (recorded.stream.startsWith('audit-')) ofReserve.add(event.uid);
      found.add(event);
    }
  for await (const recorded of log.attempts.history(attemptsAfter)) {
    await pace();
    for (const event of auditFromAttempts(recorded)) {
      if (!wanted(event)) continue;
      ofReserve.add(event.uid);
      found.add(event);
    }
  }
  for await (const recorded of since(log.audit, from, pace)) {
    const event = ofAudit(recorded, wanted);
    if (event !== undefined && !ofReserve.has(event.uid)) found.add(event);
  }
  const events = found.sorted();
  return { events, truncated: found.truncated() };
}

/**
 * To be awaited between events: lets others have their turns.
 * @returns a function that throws CodedError `unavailable` once the caller does not wait any more.
 */
function paceOf(deadline: Deadline): () => Promise<void> {
  const due = turns();
  return async () => {
    if (deadline.isOver())
      throw new CodedError(
        'unavailable',
        'the search took longer than the caller waits: ask for less time (--from, --to)',
        { outcome: 'nothing' },
      );
    await due();
  };
}

/** To the end: an event that waited in a spool reaches the log long after it happened. */
async function* since(log: EventLog, from: string, pace: () => Promise<void>): AsyncGenerator<Recorded> {
  const after = await log.positionBefore(plusMs(from, -clockSkewMs));
  for await (const recorded of log.history(after)) {
    await pace();
    yield recorded;
  }
}

/** The fields by which an event is chosen, before it is known to be one. */
interface Judged {
  readonly time?: unknown;
  readonly event?: unknown;
  readonly user?: unknown;
  readonly name?: unknown;
}
type Wanted = (event: Judged) => boolean;

/** Undefined: not wanted, or none. A schema costs much more than the few fields that decide. */
function ofAudit(recorded: Recorded, wanted: Wanted): ParsedAuditEvent | undefined {
  const { event } = recorded.fact.data as { readonly event?: unknown };
  if (typeof event !== 'object' || event === null || !wanted(event)) return undefined;
  return auditFact.safeParse(recorded.fact).data?.data.event;
}

/** @param now where everything until now is wanted, also what is stamped later. */
function wantedBy({ from, to, types, user }: Input, now: Instant | undefined): Wanted {
  const oneOf = new Set<unknown>(types);
  return ({ time, event, user: whose, name }) =>
    typeof time === 'string' &&
    time >= from &&
    (time < to || (now !== undefined && time >= now)) &&
    (oneOf.size === 0 || oneOf.has(event)) &&
    (user === '' || whose === user || name === user);
}

function byTime(a: ParsedAuditEvent, b: ParsedAuditEvent): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.ei - b.ei || (a.uid < b.uid ? -1 : 1);
}

import type { z } from 'zod';
import { searchAudit as row } from '../../api/operations/audit.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { Deadline } from '../../base/deadline.ts';
import { type Instant, minute, plusMs } from '../../base/time.ts';
import { turns } from '../../base/turns.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import type { ClusterLog, EventLog } from '../../log/event-log.ts';
import type { Recorded } from '../../log/event.ts';
import type { Part, WantedTerms } from '../../log/terms.ts';
import { reportedSkewMs } from '../../domain/reported-event.ts';
import { actorOf } from '../../api/guard.ts';
import { auditFromAttempts } from '../../domain/audit-from-attempts.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { newest } from '../newest.ts';
import { type AuditSource, auditSources } from './audit-sources.ts';
import { backwards, lastArrived } from './newest-events.ts';
import { inTurn } from './search-turns.ts';
import { type Wanted, wantedBy, wantedTerms } from './wanted-events.ts';

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
  readonly sources: readonly Searched[];
  readonly wanted: Wanted;
  readonly pace: () => Promise<void>;
}

/** What of a source is read. */
interface Searched extends Pick<AuditSource, 'found' | 'mayRepeat'> {
  readonly log: EventLog;
  /** In order. */
  readonly parts: readonly Part[];
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
  return inTurn(deps.log.audit, actorOf(call.caller), async () => {
    await pace();
    const untold = await untoldAttempts(deps);
    const sources = [untold, ...(await searched(deps.log, input.from, wantedTerms(input, untilNow)))];
    const wanted = wantedBy(input, untilNow ? now : undefined);
    return (untilNow ? searchFromEnd : searchAll)({ ...input, sources, wanted, pace });
  });
});

/** When the audit takes nothing, what it was not told is read where it is. */
async function untoldAttempts({ attemptsTeller, log }: AuthDeps): Promise<Searched> {
  try {
    await attemptsTeller.tell();
  } catch (e) {
    if (!isCoded(e)) throw e;
  }
  const part = { after: await attemptsTeller.toldUntil(), upTo: await log.attempts.head() };
  return {
    ...{ log: log.attempts, parts: part.upTo > part.after ? [part] : [] },
    found: (recorded, wanted) => auditFromAttempts(recorded).filter(wanted),
    mayRepeat: () => true,
  };
}

/** To the end: an event that waited in a spool reaches the log long after it happened. */
const searched = (log: ClusterLog, from: Instant, terms: WantedTerms): Promise<readonly Searched[]> =>
  Promise.all(
    auditSources.map(async (source) => {
      const one = log[source.partition];
      const after = await one.positionBefore(plusMs(from, -clockSkewMs));
      return { ...source, log: one, parts: await one.partsWith(source.terms, terms, after) };
    }),
  );

/** Reads no more than it takes to find so many. */
async function searchFromEnd({ sources, limit, wanted, pace }: Search): Promise<Found> {
  const events: ParsedAuditEvent[] = [];
  let [bytes, truncated] = [0, false];
  const arriving = sources.map(({ log, parts, found }) => ({
    recorded: backwards(log, parts, pace),
    found: (recorded: Recorded) => found(recorded, wanted),
  }));
  await lastArrived(arriving, (event) => {
    bytes += bytesOf(event);
    truncated = events.length === limit || (bytes > longestAnswer && events.length > 0);
    if (!truncated) events.push(event);
    return truncated;
  });
  return { events: events.sort(byTime), truncated };
}

/** What happened long ago may have been reported much later. */
async function searchAll({ sources, limit, wanted, pace }: Search): Promise<Found> {
  const kept = newest<ParsedAuditEvent>({ items: limit, bytes: longestAnswer, bytesOf }, byTime);
  const known = new Set<string>();
  for (const { log, parts, found, mayRepeat } of sources)
    for (const { after, upTo } of parts)
      for await (const recorded of log.history(after, upTo)) {
        await pace();
        for (const event of found(recorded, wanted)) {
          if (known.has(event.uid)) continue;
          if (mayRepeat(recorded)) known.add(event.uid);
          kept.add(event);
        }
      }
  return { events: kept.sorted(), truncated: kept.truncated() };
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

function byTime(a: ParsedAuditEvent, b: ParsedAuditEvent): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1;
  return a.ei - b.ei || (a.uid < b.uid ? -1 : 1);
}

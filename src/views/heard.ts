import { earliest, hour, type Instant, msBetween, plusMs } from '../base/time.ts';
import type { Ages, Span } from '../domain/deciding-time.ts';
import { inviteFact, inviteSpan } from '../domain/invite.ts';
import { tokenFact, tokenSpan } from '../domain/join-token.ts';
import { userFact } from '../domain/user-fact.ts';
import { failureSpan, lockSpan } from '../domain/user-state.ts';
import type { Followable } from '../log/event-log.ts';
import type { Position, Recorded, StreamName } from '../log/event.ts';
import { openView } from './open-view.ts';
import { readFact, type Reading } from './read-fact.ts';
import type { ReaderClock } from './reader-clock.ts';
import { emptyTable, getIn, setIn, sweepIn, type Table } from './table.ts';
import type { Projection, View } from './view.ts';

/** When this reader learned of things that expire, by its own clock: `ReaderClock.monotonic`. */
export interface Heard {
  readonly view: View<HeardState>;
  /**
   * For how long this reader has known of each of these spans, all of one stream. A span that was on the log
   * before the reader began, or came late, gets the age that its beginning has by the reader's clock: no more
   * than that, and zero when it lies in the future.
   */
  ages(stream: StreamName, spans: readonly Span[]): Ages;
  /** For how long it was seen to last, in milliseconds; undefined where it was on the log before. */
  seenMs(stream: StreamName, span: Span): number | undefined;
}

/** What one of two has seen: of the same streams in two partitions. */
export const heardInEither =
  (one: Heard, other: Heard): Heard['ages'] =>
  (stream, spans) => ({
    ...other.ages(stream, spans),
    ...Object.fromEntries(
      spans.flatMap((span) => {
        const seen = one.seenMs(stream, span);
        return seen === undefined ? [] : [[span.until, seen]];
      }),
    ),
  });

/** By stream, and by the moment that names the span in it. */
type HeardState = Table<number>;

/** Nothing lasts longer: 48 h. */
const rememberedMs = 49 * hour;
const keyOf = (stream: StreamName, { until }: Span): string => `${stream}/${until}`;

/**
 * When the log is folded again because it had gone back, spans that this reader knew keep their age, and the
 * rest get the age that their beginning has.
 * @param from events up to this position were written before.
 * @param live whether the events that are folded now were also written now; not while this reader has much to
 *   catch up on.
 */
export async function openHeard(
  log: Pick<Followable, 'follow'> & Required<Pick<Followable, 'head' | 'positionBefore'>>,
  from: Position,
  { clock, live }: { readonly clock: ReaderClock; readonly live: () => boolean },
): Promise<Heard> {
  const { monotonic, now } = clock;
  const opened = { ms: monotonic(), at: now() };
  let writtenBefore = from;
  let known: HeardState = emptyTable;
  let begins = true;
  const projection: Projection<HeardState> = {
    name: 'heard',
    // What was trimmed before it was seen gets the age that its beginning has.
    saidAgainWithinMs: 0,
    initial: emptyTable,
    apply(state, event) {
      const span = spanIn(event);
      if (span === undefined) return state;
      const key = keyOf(event.stream, span);
      if (getIn(state, key) !== undefined) return state;
      const ms = monotonic();
      const isNew = event.position > writtenBefore && live();
      const heardMs = isNew ? ms : ms - Math.max(0, msBetween(beganAt(span), now()));
      if (ms - heardMs > rememberedMs) return state;
      known = sweepIn(setIn(state, key, heardMs), event.position, (one) => ms - one <= rememberedMs);
      return known;
    },
    encode: () => [],
    decode: () => known,
  };
  const view = await openView(projection, {
    snapshot: async () => {
      if (begins) {
        begins = false;
        return { position: from, state: [] };
      }
      writtenBefore = await log.head();
      return { position: (await log.positionBefore(earliest)) ?? 0, state: [] };
    },
    follow: (after) => log.follow(after),
    head: () => log.head(),
    positionBefore: (moment) => log.positionBefore(moment),
  });
  const seenMs = (stream: StreamName, span: Span): number | undefined => {
    const heardMs = getIn(view.state(), keyOf(stream, span));
    return heardMs === undefined ? undefined : monotonic() - heardMs;
  };
  const ageMs = (stream: StreamName, span: Span): number =>
    seenMs(stream, span) ?? monotonic() - opened.ms + Math.max(0, msBetween(beganAt(span), opened.at));
  return {
    view,
    seenMs,
    ages: (stream, spans) => Object.fromEntries(spans.map((span) => [span.until, ageMs(stream, span)])),
  };
}

const tokenTypes: ReadonlySet<string> = new Set(['token.created']);
const inviteTypes: ReadonlySet<string> = new Set(['invite.created']);
const userTypes: ReadonlySet<string> = new Set(['user.login_refused', 'user.locked']);

function spanIn(event: Recorded): Span | undefined {
  const fact =
    known(readFact(tokenFact, tokenTypes, event)) ??
    known(readFact(inviteFact, inviteTypes, event)) ??
    known(readFact(userFact, userTypes, event));
  if (fact?.type === 'token.created') return tokenSpan(fact.data);
  if (fact?.type === 'invite.created') return inviteSpan(fact.data);
  if (fact?.type === 'user.locked') return lockSpan(fact.data);
  return fact?.type === 'user.login_refused' ? failureSpan(fact.data.at) : undefined;
}

/** A fact that cannot be read starts no span: the views treat it as missing. */
const known = <F>(reading: Reading<F>): F | undefined =>
  reading.status === 'read' ? reading.fact : undefined;

const beganAt = ({ until, lengthMs }: Span): Instant => plusMs(until, -lengthMs);

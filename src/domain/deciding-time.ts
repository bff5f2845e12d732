import { type Instant, minute, msBetween, plusMs } from '../base/time.ts';

/**
 * How many milliseconds ago the deciding server learned of what names itself by a moment, by a clock that is
 * never set.
 */
export type Ages = Readonly<Record<Instant, number>>;

/**
 * The time by which something is decided: that of the server that decides, and its alone. What it is compared
 * with was said by other servers, whose clocks may differ by hours: so what has a length ends when the
 * deciding server has known it for that long. What `ages` does not name was written just now. Without `ages`,
 * moments are compared.
 */
export interface DecidingTime {
  readonly now: Instant;
  readonly ages?: Ages;
}

/** What holds for a length of time. */
export interface Span {
  /** By the clock of whoever began it. It is the name of the span in `ages`. */
  readonly until: Instant;
  readonly lengthMs: number;
}

/** How much longer it holds; not above zero when it is over. */
export const leftMs = ({ until, lengthMs }: Span, { now, ages }: DecidingTime): number =>
  ages === undefined ? msBetween(now, until) : lengthMs - (ages[until] ?? 0);

/** How long ago it was. */
export const agoMs = (moment: Instant, { now, ages }: DecidingTime): number =>
  ages === undefined ? msBetween(moment, now) : (ages[moment] ?? 0);

const agreedMs = minute;

/**
 * When it ends by the clock of the deciding server: the moment that was said, unless their clocks differ by
 * much.
 */
export function endOf(span: Span, time: DecidingTime): Instant {
  const end = plusMs(time.now, leftMs(span, time));
  return Math.abs(msBetween(end, span.until)) <= agreedMs ? span.until : end;
}

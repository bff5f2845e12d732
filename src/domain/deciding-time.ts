import { type Instant, minute, msBetween, plusMs } from '../base/time.ts';

/**
 * How many milliseconds ago the deciding server learned of each thing, by a monotonic clock. A thing is named
 * by a moment.
 */
export type Ages = Readonly<Record<Instant, number>>;

/**
 * The time by which something is decided: by the clock of the deciding server alone. The moments it is
 * compared with come from other servers, whose clocks may differ by hours. So a span ends when the deciding
 * server has known of it for the length of the span. What `ages` does not name was written just now. Without
 * `ages`, moments are compared.
 */
export interface DecidingTime {
  readonly now: Instant;
  readonly ages?: Ages;
}

/** Something that lasts for a given time. */
export interface Span {
  /** By the clock of the server that began it. It also names the span in `ages`. */
  readonly until: Instant;
  readonly lengthMs: number;
}

/** How much longer it lasts; zero or less when it is over. */
export const leftMs = ({ until, lengthMs }: Span, { now, ages }: DecidingTime): number =>
  ages === undefined ? msBetween(now, until) : lengthMs - (ages[until] ?? 0);

/** How long ago it was. */
export const agoMs = (moment: Instant, { now, ages }: DecidingTime): number =>
  ages === undefined ? msBetween(moment, now) : (ages[moment] ?? 0);

const agreedMs = minute;

/**
 * When it ends by the clock of the deciding server: the recorded moment, unless their clocks differ by much.
 */
export function endOf(span: Span, time: DecidingTime): Instant {
  const end = plusMs(time.now, leftMs(span, time));
  return Math.abs(msBetween(end, span.until)) <= agreedMs ? span.until : end;
}

import { backoffMs } from '../base/backoff.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import { slotOf } from '../base/hash-of.ts';
import { second } from '../base/time.ts';
import { isAnswer } from './wire-errors.ts';

/** A server that sent nothing in time: behind a dead link, or overloaded. It did not refuse. */
export class NoAnswerInTime extends CodedError {
  constructor(message = 'no answer in time', options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}

/** Also for an error that wraps it: of several servers that were tried, the last. */
export const isNoAnswerInTime = (e: unknown): boolean =>
  e instanceof NoAnswerInTime || (e instanceof Error && isNoAnswerInTime(e.cause));

/** A server that has more handshakes to compute than it can in time. It has not begun this one. */
export class TurnedAway extends CodedError {
  constructor(options?: ErrorOptions) {
    super('unavailable', 'more come to the server at once than it can answer', {
      ...options,
      outcome: 'nothing',
    });
  }
}

/** Also for an error that wraps it: of several servers that were tried, any. */
export const isTurnedAway = (e: unknown): boolean =>
  e instanceof TurnedAway || (e instanceof Error && isTurnedAway(e.cause));

/** One machine of those that do something at once. */
export interface Among {
  readonly hostId: string;
  /** The time over which auth has them spread what all of them do at once; 0 while they are few. */
  readonly spreadMs: number;
}

/**
 * So many times as long as heartbeats are spread, which are fewer than 500 a second: 200 handshakes a second
 * leave an auth server time for everything else.
 */
const handshakesPerReport = 2.5;

/** Over how many milliseconds all come back to a server, where they spread reports over `spreadMs`. */
export const comeBackMs = (spreadMs: number): number => handshakesPerReport * spreadMs;

const refused = { baseMs: 200, maxMs: 5_000 };
/**
 * After a refusal by a server that cannot serve now: another may serve at once. While none can, thousands of
 * clients ask them all.
 */
const sentAway = { baseMs: 200, maxMs: 30_000 };
/** Servers may be overloaded, and thousands of clients may ask: dialling too soon only makes it worse. */
const silent = { baseMs: second, maxMs: 30 * second };
/** It serves others meanwhile, and to turn somebody away costs it little. */
const turnedAway = { baseMs: second, maxMs: 8 * second };

/**
 * Pause in milliseconds before servers are dialled again after `failures` failures in a row, the last with
 * `failure`. Whose connection broke dials at once: it may be alone. If that fails, or a server turned it
 * away, it is one of all that lost their server: they come back in slots, by a hash of their ids, over as
 * much time as it takes to answer all of them.
 * @param among undefined: it is not known to be one of many.
 */
export function redialMs(failures: number, failure: unknown, random: number, among?: Among): number {
  const { baseMs, maxMs } = paceOf(failure);
  const pauseMs = backoffMs(failures, baseMs, maxMs, random);
  if (among === undefined || (failures < 2 && !isTurnedAway(failure))) return pauseMs;
  return Math.max(pauseMs, comeBackMs(among.spreadMs) * slotOf(among.hostId, failures));
}

function paceOf(failure: unknown): { readonly baseMs: number; readonly maxMs: number } {
  if (isTurnedAway(failure)) return turnedAway;
  if (isNoAnswerInTime(failure)) return silent;
  return isCoded(failure, 'unavailable') && isAnswer(failure) ? sentAway : refused;
}

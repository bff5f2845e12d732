import { backoffMs } from '../base/backoff.ts';
import { CodedError, isCoded } from '../base/errors.ts';
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

const refused = { baseMs: 200, maxMs: 5_000 };
/**
 * After a refusal by a server that cannot serve now: another may serve at once. While none can, thousands of
 * clients ask them all.
 */
const sentAway = { baseMs: 200, maxMs: 30_000 };
/** Servers may be overloaded, and thousands of clients may ask: dialling too soon only makes it worse. */
const silent = { baseMs: 1_000, maxMs: 30_000 };

/**
 * Pause in milliseconds before servers are dialled again after `failures` failures in a row, the last with
 * `failure`.
 */
export function redialMs(failures: number, failure: unknown, random: number): number {
  const { baseMs, maxMs } = paceOf(failure);
  return backoffMs(failures, baseMs, maxMs, random);
}

function paceOf(failure: unknown): { readonly baseMs: number; readonly maxMs: number } {
  if (isNoAnswerInTime(failure)) return silent;
  return isCoded(failure, 'unavailable') && isAnswer(failure) ? sentAway : refused;
}

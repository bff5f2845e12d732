import { CodedError } from '../../base/errors.ts';
import { second } from '../../base/time.ts';
import { lockOf } from '../../log/keyed-lock.ts';

/** More do not wait: each reads much, and another auth server may have nothing to do. */
const mostWaiting = 16;
const waiting = new WeakMap<object, number>();

/**
 * Searches of an auth server come one after the other, and of each caller one waits in that line at a time:
 * who asks again and again keeps nobody else from his turn.
 * @throws CodedError `unavailable` when too many wait.
 */
export async function inTurn<T>(log: object, caller: string, search: () => Promise<T>): Promise<T> {
  const before = waiting.get(log) ?? 0;
  if (before >= mostWaiting)
    throw new CodedError('unavailable', 'too many searches of the audit wait here: try again in a moment', {
      outcome: 'nothing',
      retryAfterMs: second,
    });
  waiting.set(log, before + 1);
  try {
    const lock = lockOf(log);
    return await lock.hold([`search by ${caller}`], () => lock.hold(['search'], search));
  } finally {
    waiting.set(log, (waiting.get(log) ?? 1) - 1);
  }
}

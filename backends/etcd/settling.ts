import { CodedError } from '../../src/base/errors.ts';
import { UnsettledWrite } from './answers.ts';

const tries = 6;

/**
 * Writes until the outcome is known. After a lost reply, the stored value is checked before anything is sent
 * again. A request must carry conditions under which an earlier one, if it arrives late, does nothing.
 * @param write undefined when a condition did not hold any more.
 * @param look undefined when nothing of it is there.
 * @throws CodedError etcd's refusal, once it is seen that nothing was written; `ambiguous` when it cannot be
 *   seen.
 */
export async function settled<T>(
  write: () => Promise<T | undefined>,
  look: () => Promise<T | undefined>,
): Promise<T> {
  /** Of a request that may still be on its way. */
  let unanswered: UnsettledWrite | undefined;
  for (let n = 0; n < tries; n++) {
    const end = await attempt(write);
    if (end.status === 'done') return end.value;
    if (end.status === 'failed') throw unanswered ?? end.error;
    if (end.status === 'unanswered') unanswered = end.error;
    const found = await lookAfter(unanswered ?? end.error, look);
    if (found !== undefined) return found;
    if (end.status === 'refused') throw unanswered ?? end.refusal;
  }
  throw unanswered ?? new CodedError('unavailable', 'etcd: others write the same value all the time');
}

type End<T> =
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'unanswered'; readonly error: UnsettledWrite }
  | { readonly status: 'refused'; readonly error: UnsettledWrite; readonly refusal: CodedError }
  | { readonly status: 'not met'; readonly error: undefined };

async function attempt<T>(write: () => Promise<T | undefined>): Promise<End<T>> {
  try {
    const value = await write();
    return value === undefined ? { status: 'not met', error: undefined } : { status: 'done', value };
  } catch (error) {
    if (!(error instanceof UnsettledWrite)) return { status: 'failed', error };
    const { refusal } = error;
    return refusal === undefined ? { status: 'unanswered', error } : { status: 'refused', error, refusal };
  }
}

async function lookAfter<T>(
  unsettled: UnsettledWrite | undefined,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    return await look();
  } catch (e) {
    throw unsettled ?? e;
  }
}

import { CodedError } from '../../src/base/errors.ts';
import { UnsettledWrite } from './answers.ts';

const tries = 6;

/**
 * Writes until it is known what came of it. After an answer that was lost, what is stored is looked at before anything is
 * sent again; what is sent must carry conditions under which an earlier request of it, should it arrive late, does nothing.
 * @param write undefined when a condition did not hold any more.
 * @param look undefined when nothing of it is there.
 * @throws CodedError what etcd refused with, once it is seen that nothing was written; `ambiguous` when it cannot be seen.
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
    const { unsettled } = end;
    if (unsettled?.refusal === undefined) unanswered = unsettled ?? unanswered;
    const found = await lookAfter(unanswered ?? unsettled, look);
    if (found !== undefined) return found;
    if (unsettled?.refusal) throw unanswered ?? unsettled.refusal;
  }
  throw unanswered ?? new CodedError('unavailable', 'etcd: others write the same value all the time');
}

type End<T> =
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'open'; readonly unsettled: UnsettledWrite | undefined };

async function attempt<T>(write: () => Promise<T | undefined>): Promise<End<T>> {
  try {
    const value = await write();
    return value === undefined ? { status: 'open', unsettled: undefined } : { status: 'done', value };
  } catch (error) {
    return error instanceof UnsettledWrite
      ? { status: 'open', unsettled: error }
      : { status: 'failed', error };
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

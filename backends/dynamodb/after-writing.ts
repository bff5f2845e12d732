import { CodedError, isCoded, messageOf } from '../../src/base/errors.ts';

/**
 * For operations of several requests of which the first has written: a later failure proves nothing about the
 * whole.
 * @throws CodedError `ambiguous` in place of any other.
 */
export async function afterWriting<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (e) {
    if (!isCoded(e) || isCoded(e, 'ambiguous')) throw e;
    throw new CodedError('ambiguous', `written in part, and not ended: ${messageOf(e)}`, { cause: e });
  }
}

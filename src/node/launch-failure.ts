import { CodedError, isCoded, messageOf } from '../base/errors.ts';

const lead = 'Failed to launch: ';

/**
 * What the system refused: a file, a descriptor, a process. Anything else without a code of ours is a bug.
 */
export const isSystemError = (e: unknown): e is NodeJS.ErrnoException =>
  e instanceof Error && 'syscall' in e && typeof (e as NodeJS.ErrnoException).code === 'string';

/**
 * What kept a session from starting, for the person to read.
 * @param where what was tried, when the failure does not say it.
 */
export function launchFailure(e: unknown, where = ''): unknown {
  if (isCoded(e))
    return e.message.startsWith(lead)
      ? e
      : new CodedError(e.code, `${lead}${where}${e.message}.`, { cause: e });
  if (!isSystemError(e)) return e;
  return new CodedError('unavailable', `${lead}${where}${messageOf(e)}.`, { cause: e });
}

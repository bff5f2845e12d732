import { CodedError, isCoded, messageOf } from '../base/errors.ts';

const lead = 'Failed to launch: ';

/**
 * A refusal by the system: a file, a descriptor, a process. Any other error without a code of ours is a bug.
 */
export const isSystemError = (e: unknown): e is NodeJS.ErrnoException =>
  e instanceof Error && 'syscall' in e && typeof (e as NodeJS.ErrnoException).code === 'string';

/**
 * What kept a session from starting, for the person to read.
 * @param where what was tried, when the error does not name it.
 */
export function launchFailure(e: unknown, where = ''): unknown {
  if (isCoded(e))
    return e.message.startsWith(lead)
      ? e
      : new CodedError(e.code, `${lead}${where}${e.message}.`, { cause: e });
  if (!isSystemError(e)) return e;
  return new CodedError('unavailable', `${lead}${where}${messageOf(e)}.`, { cause: e });
}

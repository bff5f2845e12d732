import { DoneUnheard } from '../../api/done-unheard.ts';
import { CodedError } from '../../base/errors.ts';
import type { CliIo } from '../cli-io.ts';

/**
 * For calls whose response only confirms: where it was lost although the log says that it was done, that is
 * printed, and is no failure. Undefined then.
 */
export async function heardOrDone<T>(response: Promise<T>, io: CliIo): Promise<T | undefined> {
  try {
    return await response;
  } catch (e) {
    if (!(e instanceof DoneUnheard)) throw e;
    io.stderr.write(`${e.message}\n`);
    return undefined;
  }
}

/**
 * For calls whose response has what nobody can read again, a link or a token: where it was lost the error
 * also says what to do.
 */
export async function orLost<T>(response: Promise<T>, whatToDo: string): Promise<T> {
  try {
    return await response;
  } catch (e) {
    if (!(e instanceof DoneUnheard)) throw e;
    throw new CodedError('unavailable', `${e.message}, but its answer is lost: ${whatToDo}`, { cause: e });
  }
}

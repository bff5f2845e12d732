import { isCoded } from '../base/errors.ts';

/** How many times other processes may be first before the caller gets the conflict. */
const maxAttempts = 12;

/**
 * Reads and appends again as long as another process was first.
 * @param act is told which attempt it is, from 1 on.
 * @throws what `act` throws; `conflict` when others were always faster.
 */
export async function afterConflicts<T>(act: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await act(attempt);
    } catch (e) {
      if (!isCoded(e, 'conflict') || attempt === maxAttempts) throw e;
    }
}

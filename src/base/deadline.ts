import { CodedError } from './errors.ts';

/** Until when somebody waits for an answer. */
export interface Deadline {
  /**
   * Asked right before what cannot be undone. From then on its outcome is waited for, however long it takes.
   * @throws CodedError `unavailable` when it is too late to begin: nobody would hear what came of it.
   */
  begin(): void;
  /** Whether it is too late to begin: then nothing need be done for it any more. */
  isOver(): boolean;
}

/** For whoever waits for as long as it takes. */
export const noDeadline: Deadline = { begin: () => undefined, isOver: () => false };

const tooLate = (ms: number): CodedError =>
  new CodedError('unavailable', `the store is too slow: nothing was begun within ${ms / 1000} s, try again`);

/**
 * Runs `act`, which has so many milliseconds to begin what cannot be undone. When it has not by then, the
 * answer is `unavailable` at once, and `begin` refuses from then on: what was answered stays true.
 * `afterwards` hears of errors of an `act` that was not waited for.
 * @throws CodedError `unavailable`, or what `act` throws.
 */
export async function withinDeadline<T>(
  ms: number,
  act: (deadline: Deadline) => Promise<T>,
  afterwards: (e: unknown) => void,
  monotonic: () => number = () => performance.now(),
): Promise<T> {
  const end = monotonic() + ms;
  let begun = false;
  let answered = false;
  const { promise: missed, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    if (begun) return;
    answered = true;
    reject(tooLate(ms));
  }, ms);
  // A busy process may be later than its timer.
  const isOver = (): boolean => answered || (!begun && monotonic() >= end);
  const deadline: Deadline = {
    begin: () => {
      if (isOver()) throw tooLate(ms);
      begun = true;
    },
    isOver,
  };
  const acting = act(deadline);
  acting.catch((e: unknown) => {
    if (answered) afterwards(e);
  });
  try {
    return await Promise.race([acting, missed]);
  } finally {
    clearTimeout(timer);
  }
}

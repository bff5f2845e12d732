import { startTimer, stopTimer } from './timers.ts';
import { CodedError, isCoded } from './errors.ts';

/** Until when somebody waits for a reply. */
export interface Deadline {
  /**
   * Called right before an action that cannot be undone. From then on its outcome is waited for, however long
   * it takes.
   * @throws CodedError `unavailable` when it is too late to begin: nobody would learn the result.
   */
  begin(): void;
  /** Whether it is too late to begin: then nothing need be done for it any more. */
  isOver(): boolean;
}

/** For callers that wait for any length of time. */
export const noDeadline: Deadline = { begin: () => undefined, isOver: () => false };

/** Ends a wait before its time. Calls `interrupt` at most once, until the returned function is called. */
export type Interruption = (interrupt: (reason: string) => void) => () => void;

const tooLate = (ms: number): CodedError =>
  new CodedError('unavailable', `the store is too slow: nothing was begun within ${ms / 1000} s, try again`, {
    outcome: 'nothing',
  });

export interface Waiting {
  /** Called with errors of an `act` that was not waited for. */
  readonly afterwards: (e: unknown) => void;
  /** Default: none. */
  readonly interruptions?: readonly Interruption[];
  readonly monotonic?: () => number;
}

/**
 * Runs `act`, which has this many milliseconds to begin an action that cannot be undone. If it has not begun
 * by then, this throws `unavailable` at once, and `begin` refuses from then on, so that the error stays true.
 * An interruption does the same at once, even after something was begun: then the error states that its
 * outcome is not known.
 * @throws CodedError `unavailable`, or what `act` throws; of an `unavailable` its `outcome` says whether
 *   anything was begun.
 */
export async function withinDeadline<T>(
  ms: number,
  act: (deadline: Deadline) => Promise<T>,
  { afterwards, interruptions = [], monotonic = () => performance.now() }: Waiting,
): Promise<T> {
  const end = monotonic() + ms;
  let begun = false;
  let answered = false;
  const { promise: missed, reject } = Promise.withResolvers<never>();
  missed.catch(() => undefined);
  const timer = startTimer(() => {
    if (begun) return;
    answered = true;
    reject(tooLate(ms));
  }, ms);
  const interrupt = (reason: string): void => {
    answered = true;
    reject(new CodedError('unavailable', reason, { outcome: begun ? 'unknown' : 'nothing' }));
  };
  const stops = interruptions.map((one) => one(interrupt));
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
  } catch (e) {
    throw withOutcome(e, begun);
  } finally {
    stopTimer(timer);
    for (const stop of stops) stop();
  }
}

/** An error about something out of reach, before anything was begun, certainly did nothing. */
function withOutcome(e: unknown, begun: boolean): unknown {
  if (!isCoded(e) || e.outcome !== undefined) return e;
  if (e.code !== 'unavailable' && e.code !== 'ambiguous') return e;
  const { code, message, cause, retryAfterMs } = e;
  return new CodedError(code, message, { cause, retryAfterMs, outcome: begun ? 'unknown' : 'nothing' });
}

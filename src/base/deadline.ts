import { startTimer, stopTimer } from './timers.ts';
import { CodedError, isCoded } from './errors.ts';

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

/**
 * What ends a wait before its time. Calls back once at most, until the function is called that comes back.
 */
export type Interruption = (interrupt: (reason: string) => void) => () => void;

const tooLate = (ms: number): CodedError =>
  new CodedError('unavailable', `the store is too slow: nothing was begun within ${ms / 1000} s, try again`, {
    outcome: 'nothing',
  });

export interface Waiting {
  /** Hears of errors of an `act` that was not waited for. */
  readonly afterwards: (e: unknown) => void;
  /** Default: none. */
  readonly interruptions?: readonly Interruption[];
  readonly monotonic?: () => number;
}

/**
 * Runs `act`, which has this many milliseconds to begin what cannot be undone. When it has not by then, the
 * answer is `unavailable` at once, and `begin` refuses from then on: what was answered stays true. An
 * interruption does the same at once; also where something was begun already: then the error says that its
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

/** What is out of reach before anything was begun has surely done nothing. */
function withOutcome(e: unknown, begun: boolean): unknown {
  if (!isCoded(e) || e.outcome !== undefined) return e;
  if (e.code !== 'unavailable' && e.code !== 'ambiguous') return e;
  const { code, message, cause, retryAfterMs } = e;
  return new CodedError(code, message, { cause, retryAfterMs, outcome: begun ? 'unknown' : 'nothing' });
}

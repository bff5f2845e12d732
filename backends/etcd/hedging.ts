import { startTimer, stopTimer, type Timer } from '../../src/base/timers.ts';

export interface Attempt<T> {
  readonly ask: () => Promise<T>;
  /** It failed: the error to throw, or undefined when another may be asked. */
  readonly failed: (e: unknown) => Error | undefined;
}

/**
 * Begins the first attempt, and the next one when the previous failed or `afterMs` have passed: the first
 * success wins, and later ones are not waited for. Undefined when all failed.
 * @throws an attempt's error after which no other may be asked.
 */
export function firstOf<T>(
  attempts: readonly Attempt<T>[],
  afterMs: number,
): Promise<{ answer: T } | undefined> {
  return new Promise((resolve, reject) => {
    const left = [...attempts];
    let [asked, over] = [0, false];
    let timer: Timer | undefined;
    const end = (settle: () => void): void => {
      over = true;
      stopTimer(timer);
      settle();
    };
    const next = (): void => {
      stopTimer(timer);
      const attempt = left.shift();
      if (attempt === undefined) {
        if (asked === 0)
          end(() => {
            resolve(undefined);
          });
        return;
      }
      asked++;
      timer = startTimer(next, afterMs);
      attempt.ask().then(
        (answer) => {
          if (!over)
            end(() => {
              resolve({ answer });
            });
        },
        (e: unknown) => {
          asked--;
          if (over) return;
          const refusal = attempt.failed(e);
          if (refusal === undefined) next();
          else
            end(() => {
              reject(refusal);
            });
        },
      );
    };
    next();
  });
}

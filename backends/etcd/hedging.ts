export interface Attempt<T> {
  readonly ask: () => Promise<T>;
  /** It failed: whether another may be asked. */
  readonly failed: (e: unknown) => boolean;
}

/**
 * Begins the first attempt, and the next one when the one before failed or `afterMs` have passed: the first good answer
 * wins, and what comes later is not waited for. Undefined when all failed.
 * @throws what an attempt threw after which no other may be asked.
 */
export function firstOf<T>(
  attempts: readonly Attempt<T>[],
  afterMs: number,
): Promise<{ answer: T } | undefined> {
  return new Promise((resolve, reject) => {
    const left = [...attempts];
    let [asked, over] = [0, false];
    let timer: NodeJS.Timeout | undefined;
    const end = (settle: () => void): void => {
      over = true;
      clearTimeout(timer);
      settle();
    };
    const next = (): void => {
      clearTimeout(timer);
      const attempt = left.shift();
      if (attempt === undefined) {
        if (asked === 0)
          end(() => {
            resolve(undefined);
          });
        return;
      }
      asked++;
      timer = setTimeout(next, afterMs);
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
          if (attempt.failed(e)) next();
          else
            end(() => {
              reject(e);
            });
        },
      );
    };
    next();
  });
}

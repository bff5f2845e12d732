import { CodedError } from '../base/errors.ts';

export interface TurnLimits {
  /** So many pieces of work run at once. */
  readonly concurrent: number;
  /** So many more may wait; whoever comes then is refused. */
  readonly waiting: number;
  /** What is refused, for the message. */
  readonly what: string;
}

/**
 * Runs pieces of work a few at a time, in the order they came.
 * The answer throws CodedError `unavailable`, without having begun, when too many wait.
 */
export function takingTurns({
  concurrent,
  waiting,
  what,
}: TurnLimits): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0;
  const queue: (() => void)[] = [];
  return async (work) => {
    if (running < concurrent) running++;
    else if (queue.length < waiting) await new Promise<void>((go) => queue.push(go));
    else throw new CodedError('unavailable', `too many ${what} at once; try again`);
    try {
      return await work();
    } finally {
      // The place is handed on, never set free in between: who waits cannot be overtaken.
      const next = queue.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

import { CodedError } from '../base/errors.ts';

export interface TurnLimits {
  /** How many pieces of work run at once. */
  readonly concurrent: number;
  /** How many more may wait; further ones are refused. */
  readonly waiting: number;
  /** The kind of work, for the message. */
  readonly what: string;
}

/**
 * Runs pieces of work a few at a time, in the order they came. The returned function throws CodedError
 * `unavailable`, without having begun, when too many wait.
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
      // The place is passed on, never released in between, so that nobody in the line can be overtaken.
      const next = queue.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

import { CodedError } from '../base/errors.ts';

/**
 * Allows one program start in each turn of the event loop, alternating between the clients that wait: a
 * hundred starts for one client take a hundred turns, between which everybody else's bytes, timers and starts
 * are served.
 */
export class StartTurns {
  /** Of each who waits, in the order in which they are next. */
  readonly #waiting = new Map<object, (() => void)[]>();
  #stepping = false;

  /**
   * Resolves when it is the turn of `of`, a connection say; two calls get two turns.
   * @param unwanted aborted when nobody wants the program any more: then its turn does not come.
   * @throws CodedError `unavailable` for a program that is unwanted before its turn.
   */
  take(of: object, unwanted?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const drop = (): void => {
        this.#remove(of, come);
        reject(notWanted());
      };
      const come = (): void => {
        unwanted?.removeEventListener('abort', drop);
        resolve();
      };
      if (unwanted?.aborted === true) {
        reject(notWanted());
        return;
      }
      unwanted?.addEventListener('abort', drop, { once: true });
      const before = this.#waiting.get(of);
      if (before === undefined) this.#waiting.set(of, [come]);
      else before.push(come);
      this.#goOn();
    });
  }

  #remove(of: object, turn: () => void): void {
    const left = this.#waiting.get(of)?.filter((one) => one !== turn) ?? [];
    if (left.length > 0) this.#waiting.set(of, left);
    else this.#waiting.delete(of);
  }

  #goOn(): void {
    if (this.#stepping || this.#waiting.size === 0) return;
    this.#stepping = true;
    setImmediate(() => {
      this.#stepping = false;
      this.#step();
      this.#goOn();
    });
  }

  #step(): void {
    for (const [of, [first, ...rest]] of this.#waiting) {
      this.#waiting.delete(of);
      if (rest.length > 0) this.#waiting.set(of, rest);
      first?.();
      return;
    }
  }
}

const notWanted = (): CodedError =>
  new CodedError('unavailable', 'the client that asked for the program left before it was started');

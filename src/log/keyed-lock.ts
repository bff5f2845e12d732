/** One at a time per key, in the order of asking. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Runs `act` while holding all keys. Keys are taken in sorted order, so that two holders never wait for
   * each other.
   */
  async hold<T>(keys: readonly string[], act: () => Promise<T>): Promise<T> {
    const releases: (() => void)[] = [];
    try {
      for (const key of [...new Set(keys)].sort()) releases.push(await this.#take(key));
      return await act();
    } finally {
      for (const release of releases) release();
    }
  }

  async #take(key: string): Promise<() => void> {
    const before = this.#tails.get(key);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tail = before ? before.then(() => held) : held;
    this.#tails.set(key, tail);
    await before;
    return () => {
      release();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    };
  }
}

const locks = new WeakMap<object, KeyedLock>();

/** The lock of this log: whoever asks gets the same one. Names of streams contain a `-`, other keys none. */
export function lockOf(log: object): KeyedLock {
  const lock = locks.get(log) ?? new KeyedLock();
  locks.set(log, lock);
  return lock;
}

/** Whoever holds a key, and whoever waits for it. */
interface Queue {
  holders: number;
  /** Until all of them are done. */
  all: Promise<void>;
  /** Until the last of them is done who has the key for itself. */
  alone: Promise<void>;
}

const nobody: Promise<void> = Promise.resolve();

/**
 * One at a time per key, in the order of asking; those who share a key hold it together, and neither pass one
 * who waits to have it alone nor are passed.
 */
export class KeyedLock {
  readonly #queues = new Map<string, Queue>();

  /**
   * Runs `act` while holding all keys. Keys are taken in sorted order, so that two holders never wait for
   * each other.
   * @param shared keys that are held together with others who share them.
   */
  async hold<T>(keys: readonly string[], act: () => Promise<T>, shared: readonly string[] = []): Promise<T> {
    const alone = new Set(keys);
    const releases: (() => void)[] = [];
    try {
      for (const key of [...new Set([...keys, ...shared])].sort())
        releases.push(await this.#take(key, alone.has(key)));
      return await act();
    } finally {
      for (const release of releases) release();
    }
  }

  async #take(key: string, alone: boolean): Promise<() => void> {
    const queue = this.#queues.get(key) ?? { holders: 0, all: nobody, alone: nobody };
    this.#queues.set(key, queue);
    const before = alone ? queue.all : queue.alone;
    const { promise: held, resolve } = Promise.withResolvers<undefined>();
    queue.holders++;
    queue.all = Promise.all([queue.all, held]).then(() => undefined);
    if (alone) queue.alone = queue.all;
    await before;
    return () => {
      resolve(undefined);
      if (--queue.holders === 0) this.#queues.delete(key);
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

/**
 * Unwrapped data keys, in memory only; the least recently used are dropped first. Concurrent requests for one
 * key share one fetch.
 */
export class DataKeyCache {
  readonly #most: number;
  readonly #known = new Map<string, Promise<Uint8Array>>();

  constructor(most: number) {
    this.#most = most;
  }

  /** The key under `name`, from `fetch` when it is not known. A failure is not kept. */
  get(name: string, fetch: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const found = this.#known.get(name);
    if (found !== undefined) {
      this.#known.delete(name);
      this.#known.set(name, found);
      return found;
    }
    const fetched = fetch();
    this.#known.set(name, fetched);
    fetched.catch(() => {
      if (this.#known.get(name) === fetched) this.#known.delete(name);
    });
    const oldest = this.#known.size > this.#most ? this.#known.keys().next().value : undefined;
    if (oldest !== undefined) this.#known.delete(oldest);
    return fetched;
  }
}

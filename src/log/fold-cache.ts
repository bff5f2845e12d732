import type { Revision, StreamName } from './event.ts';

export interface FoldedStream<S> {
  readonly state: S;
  readonly revision: Revision;
}

/**
 * The last used folded states by decider and stream; the one unused longest makes room. States are never
 * changed.
 */
export class FoldCache {
  readonly #maxEntries: number;
  readonly #entries = new Map<string, FoldedStream<unknown>>();
  readonly #numbers = new WeakMap<object, number>();
  #deciders = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get<S>(decider: { readonly initial: S }, stream: StreamName): FoldedStream<S> | undefined {
    const key = this.#key(decider, stream);
    const found = this.#entries.get(key);
    if (found === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, found);
    // What is under a decider's number was folded by that decider.
    return found as FoldedStream<S>;
  }

  set<S>(decider: { readonly initial: S }, stream: StreamName, folded: FoldedStream<S>): void {
    const key = this.#key(decider, stream);
    this.#entries.delete(key);
    this.#entries.set(key, folded);
    if (this.#entries.size <= this.#maxEntries) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  #key(decider: object, stream: StreamName): string {
    let number = this.#numbers.get(decider);
    if (number === undefined) {
      number = ++this.#deciders;
      this.#numbers.set(decider, number);
    }
    return `${number} ${stream}`;
  }
}

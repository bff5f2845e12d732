/**
 * What follows an operation and its caller need not wait for: everything that matters is on the log already.
 */
export interface Afterwards {
  /** `act` reports its own failures. */
  add(act: Promise<void>): void;
  /** Resolves when everything that was added is done. */
  done(): Promise<void>;
}

export function afterwards(): Afterwards {
  const underWay = new Set<Promise<void>>();
  return {
    add: (act) => {
      const tracked = act.finally(() => underWay.delete(tracked));
      underWay.add(tracked);
    },
    done: async () => {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

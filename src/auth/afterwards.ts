/** What follows an operation and its caller need not wait for: what counts is on the log. */
export interface Afterwards {
  /** `act` tells its failures itself. */
  add(act: Promise<void>): void;
  /** Resolves when all that was added is done. */
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

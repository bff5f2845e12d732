import type { Instant } from '../../base/time.ts';
import { hostStream } from '../../domain/streams.ts';
import type { EventLog } from '../../log/event-log.ts';

/** When machines joined the cluster. */
export interface HostAges {
  /** By the log. Undefined while the log has nothing about this machine. */
  joinedAt(hostId: string): Promise<Instant | undefined>;
}

/** How many are remembered, those asked for last. */
const maxKnown = 20_000;

export function hostAges(state: Pick<EventLog, 'read'>): HostAges {
  const known = new Map<string, Instant>();
  return {
    joinedAt: async (hostId) => {
      const before = known.get(hostId);
      if (before !== undefined) return before;
      // What is known here is enough: the worst error is that a machine that just joined counts as new.
      for await (const first of state.read(hostStream(hostId), 0, 0)) {
        known.set(hostId, first.cause.at);
        if (known.size > maxKnown) known.delete(known.keys().next().value ?? '');
        return first.cause.at;
      }
      return undefined;
    },
  };
}

import { minute } from '../base/duration.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import { auditCodes } from '../domain/audit-codes.ts';
import type { Cause } from '../log/event.ts';
import type { OwnAudit, Seen } from './own-audit.ts';
import { sourceOf } from './rate-limit.ts';

/** Attempts that come in such numbers that they are only counted, and told in one event per interval. */
export interface TurnedAway {
  count(address: string): void;
  /** Tells what was counted. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const intervalMs = 5_000;
/** While `audit` has no room: how often one may take of what is kept for `state`. Who comes here is unproved. */
const reserveEveryMs = 10 * minute;
/** Addresses named in one event; the rest is in its total. */
const maxNamed = 20;

/** What the event says of those it counts. */
export interface AboutTurnedAway {
  /** Type of the events that would have told of them one by one. */
  readonly about: string;
  readonly message: string;
}

export function turnedAway(
  audit: OwnAudit,
  world: World,
  hostId: string,
  sink: LogSink,
  { about, message }: AboutTurnedAway,
): TurnedAway {
  let counts = new Map<string, number>();
  let total = 0;
  let since = '';
  let reserveAt = -Infinity;
  const record = async (event: Seen, cause: Cause): Promise<void> => {
    if (world.monotonic() - reserveAt < reserveEveryMs) {
      await audit.record(event, cause);
      return;
    }
    if ((await audit.recordFromReserve(event, cause)) === 'reserve') reserveAt = world.monotonic();
  };
  const flush = async (): Promise<void> => {
    if (total === 0) return;
    const told = { counts, total, since };
    counts = new Map();
    total = 0;
    const named = [...told.counts].sort((a, b) => b[1] - a[1]).slice(0, maxNamed);
    try {
      await record(
        {
          event: 'gap',
          code: auditCodes.gap,
          about,
          count: told.total,
          since: told.since,
          message,
          addresses: Object.fromEntries(named),
        },
        { at: world.now(), actor: `auth:${hostId}`, requestId: world.uuid() },
      );
    } catch (e) {
      // Kept for the next time.
      sink.warn('a gap in the audit could not be stored yet', { reason: messageOf(e), count: told.total });
      total += told.total;
      since = told.since;
      for (const [address, n] of told.counts) add(address, n);
    }
  };
  const add = (address: string, n: number): void => {
    if (counts.size < 1_000 || counts.has(address)) counts.set(address, (counts.get(address) ?? 0) + n);
  };
  let flushing = Promise.resolve();
  const timer = setInterval(() => {
    flushing = flushing.then(flush);
  }, intervalMs);
  timer.unref();
  return {
    count: (address) => {
      if (total === 0) since = world.now();
      total++;
      add(sourceOf(address), 1);
    },
    flush,
    close: async () => {
      clearInterval(timer);
      await flushing;
      await flush();
    },
  };
}

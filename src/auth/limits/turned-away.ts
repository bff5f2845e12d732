import { FloodCounter } from '../../api/flood-counter.ts';
import { minute, second } from '../../base/duration.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { World } from '../../base/world.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import type { EventBody } from '../../domain/audit-kind.ts';
import type { Cause } from '../../log/event.ts';
import type { OwnAudit } from '../audit/own-audit.ts';
import { sourceOf } from './rate-limit.ts';

/** Attempts in such numbers that they are only counted: one event reports how many there were. */
export interface TurnedAway {
  count(address: string): void;
  /** Reports now what was counted. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const intervalMs = 5 * second;
/**
 * While `audit` has no space, the shortest time between two events in the space reserved for `state`, since
 * these callers have proved nothing.
 */
const reserveEveryMs = 10 * minute;

/** What the event contains about the attempts it counts. */
export interface AboutTurnedAway {
  /** Type of the events that would have reported them one by one. */
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
  let reserveAt = -Infinity;
  const record = async (event: EventBody, cause: Cause): Promise<void> => {
    if (world.monotonic() - reserveAt < reserveEveryMs) {
      await audit.record(event, cause);
      return;
    }
    if ((await audit.recordFromReserve(event, cause)) === 'reserve') reserveAt = world.monotonic();
  };
  const counter = new FloodCounter({
    about,
    intervalMs,
    world,
    sink,
    emit: (flood) =>
      record(catalogue.gap({ about, message, ...flood }), {
        at: world.now(),
        actor: `auth:${hostId}`,
        requestId: world.uuid(),
      }),
  });
  return {
    count: (address) => {
      counter.count(sourceOf(address));
    },
    flush: () => counter.flush(),
    close: () => counter.close(),
  };
}

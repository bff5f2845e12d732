import { isCoded } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { Cause, Position } from '../log/event.ts';
import type { AuditWriter } from './audit-writer.ts';

/** What auth itself saw and no fact of `state` tells. */
export interface OwnAudit {
  record(
    event: { readonly event: string; readonly code: string; readonly [field: string]: unknown },
    cause: Cause,
  ): Promise<Position>;
}

/** Why nothing at all can be stored now. */
const ofStore: ReadonlySet<string> = new Set(['unavailable', 'ambiguous', 'no_space', 'damaged']);

interface Waiting {
  readonly event: AuditEvent;
  readonly cause: Cause;
  readonly resolve: (position: Position) => void;
  readonly reject: (reason: unknown) => void;
}

/** Events that go together at most; each is far below what an append takes. */
const mostTogether = 64;

/**
 * One append is under way at a time, and the next takes all that wait: fifty who join at once wait for two
 * appends, not for fifty. Each event says itself by whom it came about; the cause of an append of several is
 * this auth server.
 */
export function ownAudit(writer: AuditWriter, world: World, hostId: string): OwnAudit {
  let waiting: Waiting[] = [];
  let running = false;

  const appendAlone = async ({ event, cause, resolve, reject }: Waiting): Promise<void> => {
    try {
      resolve(await writer.append([event], cause));
    } catch (e) {
      reject(e);
    }
  };

  const append = async (some: readonly Waiting[]): Promise<void> => {
    const [first, ...others] = some;
    if (!first) return;
    if (others.length === 0) {
      await appendAlone(first);
      return;
    }
    const cause = { at: world.now(), actor: `auth:${hostId}`, requestId: world.uuid() };
    try {
      const position = await writer.append(
        some.map(({ event }) => event),
        cause,
      );
      for (const one of some) one.resolve(position);
    } catch (e) {
      // One that can never be stored must not take the others with it.
      if (isCoded(e) && !ofStore.has(e.code)) for (const one of some) await appendAlone(one);
      else for (const one of some) one.reject(e);
    }
  };

  const run = async (): Promise<void> => {
    running = true;
    while (waiting.length > 0) {
      const some = waiting.slice(0, mostTogether);
      waiting = waiting.slice(mostTogether);
      await append(some);
    }
    running = false;
  };

  return {
    record: (event, cause) => {
      const { promise, resolve, reject } = Promise.withResolvers<Position>();
      const full = {
        ei: 0,
        ...event,
        uid: world.uuid(),
        time: cause.at,
        server_id: hostId,
        actor: cause.actor,
        request_id: cause.requestId,
      };
      waiting.push({ event: full, cause, resolve, reject });
      if (!running) void run();
      return promise;
    },
  };
}

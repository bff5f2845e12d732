import type { z } from 'zod';
import type { emitAudit as operation } from '../api/operations.ts';
import { actorOf } from '../api/guard.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import type { AuditNumbers } from '../domain/audit.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import type { Cause, Position } from '../log/event.ts';
import { type AuthDeps, causeOf } from './deps.ts';
import { whoseTelling } from './quota-rules.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/**
 * Stores what a proxy or node saw. Each event says by whom it was told, whatever it claims itself.
 * @throws CodedError `quota` for more than one machine may tell in a time: the sender keeps it, and sends it again;
 * `bad_request` for an event in the name of another server, `too_large` for one that the log does not
 * take: sending it again would not help.
 */
export async function emitAudit(deps: AuthDeps, call: Call, { events, numbered }: Input): Promise<Output> {
  const { caller } = call;
  if (caller.kind !== 'host') throw new CodedError('access_denied', 'only hosts tell what they saw');
  const told = events.map((event) => {
    if (event.server_id !== undefined && event.server_id !== caller.hostId)
      throw new CodedError('bad_request', `event ${event.uid}: server_id is not the caller's own`);
    return { actor: actorOf(caller), request_id: call.requestId, ...event, server_id: caller.hostId };
  });
  const giveBack = deps.quotas.take(whoseTelling(caller), {
    audit_events: told.length,
    audit_bytes: Buffer.byteLength(JSON.stringify(told)),
  });
  try {
    call.deadline.begin();
    return { position: await append(deps, told, causeOf(deps, call), numbered) };
  } catch (e) {
    // While the store is away the sender tries again and again: that is not its doing.
    giveBack();
    throw e;
  }
}

/** What is too large for one append goes in several: a sender cannot know what the log wraps each event in. */
async function append(
  deps: AuthDeps,
  events: readonly AuditEvent[],
  cause: Cause,
  numbered: AuditNumbers | undefined,
): Promise<Position> {
  try {
    return await deps.audit.append(events, cause, numbered);
  } catch (e) {
    if (!isCoded(e, 'too_large') || events.length < 2) throw e;
    const half = Math.ceil(events.length / 2);
    const part = (from: number, to: number): Promise<Position> =>
      append(
        deps,
        events.slice(from, to),
        cause,
        numbered && { ...numbered, numbers: numbered.numbers.slice(from, to) },
      );
    await part(0, half);
    return part(half, events.length);
  }
}

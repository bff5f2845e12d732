import { emitAudit as row } from '../../api/operations/audit.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { msBetween } from '../../base/time.ts';
import type { AuditNumbers } from '../../domain/audit.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import { splitForeignUsername } from '../../domain/foreign-username.ts';
import { type Arrival, asReported, type Reporter } from '../../domain/reported-event.ts';
import type { Cause, Position } from '../../log/event.ts';
import { findHost } from '../../views/hosts.ts';
import { findTrusted } from '../../views/trusted-clusters.ts';
import { findUser } from '../../views/users.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { whoseTelling } from '../limits/quota-rules.ts';

/**
 * Stores what a proxy or node saw. Who reports it, from where and when it came is set here, whatever the
 * event claims (`domain/reported-event.ts`).
 * @throws CodedError `quota` for more events than one machine may report in a given time: the sender keeps
 *   the event and sends it again. `bad_request` for an event that the caller may not report, and `too_large`
 *   for one that the log does not take: sending those again would not help.
 */
export const emitAudit = implementing(row, async (deps, call, { events, numbered }) => {
  const { caller } = call;
  if (caller.kind !== 'host' || (caller.role !== 'Node' && caller.role !== 'Proxy'))
    throw new CodedError('access_denied', 'only nodes and proxies report audit events');
  const { hostId, role } = caller;
  const joinedAt = await deps.hostAges.joinedAt(hostId);
  const at = deps.world.now();
  const reporter: Reporter = {
    hostId,
    role,
    joinedAt,
    known: findHost(deps.views.hosts.state(), hostId, role),
  };
  const arrival: Arrival = {
    at,
    requestId: call.requestId,
    isUser: (name) => isPerson(deps, name),
  };
  const told = events.map((event) => asReported(event, reporter, arrival));
  const whose = { ...whoseTelling(caller), ageMs: joinedAt === undefined ? 0 : msBetween(joinedAt, at) };
  const giveBack = deps.quotas.take(whose, {
    audit_events: told.length,
    audit_bytes: Buffer.byteLength(JSON.stringify(told)),
  });
  try {
    call.deadline.begin();
    return { position: await append(deps, told, causeOf(deps, call), numbered) };
  } catch (e) {
    // While the store is away the sender tries again and again, through no fault of its own.
    giveBack();
    throw e;
  }
});

/**
 * Events that are too large together are appended in several parts: a sender cannot know how much the log
 * adds to each event.
 */
async function append(
  deps: AuthDeps,
  events: readonly ParsedAuditEvent[],
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

/** A user of this cluster, or somebody of one that is trusted. */
function isPerson({ views }: Pick<AuthDeps, 'views'>, name: string): boolean {
  if (findUser(views.users.state(), name) !== undefined) return true;
  const clusterName = splitForeignUsername(name)?.clusterName;
  return clusterName !== undefined && findTrusted(views.trustedClusters.state(), clusterName) !== undefined;
}

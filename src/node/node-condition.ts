import type { Announcement } from '../api/announce-host.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import { absenceOf } from '../api/absence.ts';
import type { AuthClient } from '../api/client.ts';
import { type Condition, conditionOf } from '../base/condition.ts';
import { messageOf } from '../base/errors.ts';
import type { LibcLoad } from '../machine/libc.ts';
import { type ReadingViews, unreadableText } from '../views/unreadable.ts';
import type { NodeViews } from './node-views.ts';

/** What decides in which condition a node is. */
export interface NodeStanding {
  readonly auth: Pick<AuthClient, 'state'>;
  readonly views: Pick<NodeViews, 'failure' | 'cluster'> & ReadingViews;
  readonly libc: LibcLoad;
  readonly outbox: Pick<AuditOutbox, 'trouble' | 'disk'>;
  readonly announcement: Pick<Announcement, 'trouble'> | undefined;
  readonly renewalTrouble: () => string | undefined;
}

/**
 * A node whose views have failed, or that never folded its cluster, refuses everybody, as `decideAccess`
 * does. With auth away it continues from its last folded state, however long: a person with a certificate is
 * let in until that expires.
 */
export function nodeCondition({
  auth,
  views,
  libc,
  outbox,
  announcement,
  renewalTrouble,
}: NodeStanding): Condition {
  const failure = views.failure();
  const absence = absenceOf(auth);
  const withAuth = [outbox.trouble(), announcement?.trouble()];
  return conditionOf({
    refusals: [
      failure && `what this node knows of the cluster stands still: ${messageOf(failure)}`,
      views.cluster.state().status === 'absent' ? 'this node does not know its cluster yet' : undefined,
    ],
    lacks: [
      ...(absence === undefined ? withAuth : [`${absence}: decides by what was last known`]),
      renewalTrouble(),
      libc.status === 'unavailable' ? libc.reason : undefined,
      diskTrouble(outbox),
      unreadableText(views),
    ],
  });
}

/** Who is let in while the disk of the audit spool is full; undefined while it accepts writes. */
export function diskTrouble(outbox: Pick<AuditOutbox, 'disk'>): string | undefined {
  const disk = outbox.disk();
  return disk.status === 'writable'
    ? undefined
    : `the disk of this machine takes nothing since ${disk.since} (${disk.reason}): only people whose role lets them in on a full disk get in, to free space`;
}

import type { Announcement } from '../api/announce-host.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import { absenceOf } from '../api/absence.ts';
import type { AuthClient } from '../api/client.ts';
import { type Condition, conditionOf } from '../base/condition.ts';
import { messageOf } from '../base/errors.ts';
import { type ReadingViews, unreadableText } from '../views/unreadable.ts';
import type { ProxyViews } from './proxy-views.ts';
import type { Peers } from './tunnel/peers.ts';
import type { RootLinks } from './tunnel/root-links.ts';

/** What decides in which condition a proxy is. */
export interface ProxyStanding {
  readonly auth: Pick<AuthClient, 'state'>;
  readonly outbox: Pick<AuditOutbox, 'trouble' | 'disk'>;
  readonly views: Pick<ProxyViews, 'failure'> & ReadingViews;
  readonly announcement: Pick<Announcement, 'trouble'>;
  readonly renewalTrouble: () => string | undefined;
  readonly peers: Pick<Peers, 'unreachable'>;
  readonly roots: Pick<RootLinks, 'troubles'>;
}

/**
 * A proxy whose views have failed refuses everybody, as `admitClient` does. With auth away it continues from
 * its last folded state, however long: a person with a certificate is let in until that expires.
 */
export function proxyCondition({
  auth,
  outbox,
  views,
  announcement,
  renewalTrouble,
  peers,
  roots,
}: ProxyStanding): Condition {
  const failure = views.failure();
  const absence = absenceOf(auth);
  return conditionOf({
    refusals: [
      failure &&
        `what this proxy knows of the cluster stands still, nobody can log in: ${messageOf(failure)}`,
    ],
    lacks: [
      ...(absence === undefined
        ? [outbox.trouble(), announcement.trouble()]
        : [`${absence}: those who have a certificate go on, by what was last known; nobody can log in`]),
      renewalTrouble(),
      unreadableText(views),
    ],
    notices: [diskNotice(outbox), peersNotice(peers), rootsNotice(roots)],
  });
}

/** No client is affected: a proxy records only refusals, and these go into its log in the meantime. */
function diskNotice(outbox: Pick<AuditOutbox, 'disk'>): string | undefined {
  const disk = outbox.disk();
  return disk.status === 'writable'
    ? undefined
    : `the disk of the audit spool takes nothing since ${disk.since} (${disk.reason}): free space on it`;
}

/** People of this cluster are not affected; those of the other one do not come in. */
function rootsNotice(roots: Pick<RootLinks, 'troubles'>): string | undefined {
  const each = roots.troubles().map(({ clusterName, why }) => `${clusterName} (${why})`);
  return each.length === 0
    ? undefined
    : `people of a trusted cluster may not reach this one by this proxy: ${each.join(', ')}`;
}

/** Nodes that hang on proxies are told to hang on all of them, so no client is affected. */
function peersNotice(peers: Pick<Peers, 'unreachable'>): string | undefined {
  const away = peers.unreachable();
  if (away.length === 0) return undefined;
  const each = away.map(({ hostId, why }) => `${hostId} (${why})`);
  return (
    `this proxy does not reach ${away.length} other ${away.length === 1 ? 'proxy' : 'proxies'}: ${each.join(', ')}; ` +
    'nodes in tunnels hang on all proxies meanwhile. Open proxy_service.peer_listen_addr between proxies'
  );
}

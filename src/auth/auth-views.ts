import type { ClusterLog, EventLog } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import { absenceView } from '../views/absence.ts';
import { authoritiesView } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { configurationView } from '../views/configuration.ts';
import { decidedView } from '../views/decided.ts';
import { attemptsView } from '../views/login-attempts.ts';
import { type Heard, heardInEither, openHeard } from '../views/heard.ts';
import { hostsView } from '../views/hosts.ts';
import { identitiesView } from '../views/identities.ts';
import { invitesView } from '../views/invites.ts';
import { locksView } from '../views/locks.ts';
import { firstFailure, openViewsWith, type Views } from '../views/open-views.ts';
import { presenceViewBy } from '../views/presence.ts';
import type { ReaderClock } from '../views/reader-clock.ts';
import { recordingView } from '../views/recording.ts';
import { requestsView } from '../views/requests.ts';
import { remoteClustersView } from '../views/remote-clusters.ts';
import { trustedClustersView } from '../views/trusted-clusters.ts';
import { rolesView } from '../views/roles.ts';
import { supersededView } from '../views/superseded.ts';
import { tokensView } from '../views/tokens.ts';
import { usersView } from '../views/users.ts';
import type { View } from '../views/view.ts';

const foldedBy = (clock: ReaderClock) => ({
  state: {
    cluster: clusterView,
    configuration: configurationView,
    recording: recordingView,
    authorities: authoritiesView,
    roles: rolesView,
    users: usersView,
    invites: invitesView,
    tokens: tokensView,
    hosts: hostsView,
    identities: identitiesView,
    locks: locksView,
    requests: requestsView,
    trustedClusters: trustedClustersView,
    remoteClusters: remoteClustersView,
    superseded: supersededView,
  },
  attempts: { attempts: attemptsView },
  presence: { presence: presenceViewBy(clock), absence: absenceView },
});

/**
 * What decisions begin with. Nothing waits for it: until it has caught up, and where it has stopped, they
 * read more.
 */
const foldedBeside = { state: { decided: decidedView } };

/** Everything that auth folds. */
export type AuthViews = Views<ReturnType<typeof foldedBy>, typeof foldedBeside> & {
  /** Since when this server has known of things that expire. */
  readonly heard: Heard;
  /** The same of users, whose failures and locks may be in `attempts`. */
  readonly heardOfUsers: Heard['ages'];
  /** The clock by which things in the views expire. */
  readonly clock: ReaderClock;
  /**
   * Resolves with a position when every fold of `state` contains what is on the log now, whichever auth
   * server wrote it.
   */
  fresh(): Promise<Position>;
  /** The same for the folds of `attempts`. */
  freshAttempts(): Promise<Position>;
  /** Rejects when a fold cannot continue, so that its content would become stale. Never resolves. */
  readonly broken: Promise<never>;
};

/**
 * @param live whether the events that are folded now were also written now. Default: they were not, as for a
 *   reader that only looks.
 */
export async function openAuthViews(
  log: ClusterLog,
  clock: ReaderClock,
  live: () => boolean = () => false,
): Promise<AuthViews> {
  const views = await openViewsWith(log, foldedBy(clock), foldedBeside);
  const by = { clock, live };
  const opening = [openHeardOf(log.state, by), openHeardOf(log.attempts, by)] as const;
  const [heard, heardAttempts] = await Promise.all(opening).catch(async (e: unknown) => {
    views.close();
    for (const one of await Promise.allSettled(opening))
      if (one.status === 'fulfilled') one.value.view.close();
    throw e;
  });
  const all = [...views.all, heard.view, heardAttempts.view];
  const reached = async (position: Position): Promise<void> => {
    await Promise.all([views.reached(position), heard.view.reached(position)]);
  };
  return {
    ...views,
    all,
    ...{ heard, clock, reached },
    heardOfUsers: heardInEither(heardAttempts, heard),
    freshAttempts: async () => {
      const head = await log.attempts.head();
      await Promise.all([views.attempts.reached(head), heardAttempts.view.reached(head)]);
      return head;
    },
    failure: () => firstFailure(all),
    broken: Promise.race(all.map(failureOf)),
    fresh: async () => {
      const head = await log.state.head();
      await reached(head);
      return head;
    },
    close: () => {
      views.close();
      heard.view.close();
      heardAttempts.view.close();
    },
  };
}

const openHeardOf = async (log: EventLog, by: Parameters<typeof openHeard>[2]): Promise<Heard> =>
  openHeard(log, await log.head(), by);

const failureOf = (view: View<unknown>): Promise<never> =>
  new Promise((_resolve, reject) => {
    view.changes.subscribe({ error: reject });
  });

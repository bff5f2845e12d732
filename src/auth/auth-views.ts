import type { ClusterLog } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import { authoritiesView } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { configurationView } from '../views/configuration.ts';
import { type Heard, openHeard } from '../views/heard.ts';
import { hostsView } from '../views/hosts.ts';
import { identitiesView } from '../views/identities.ts';
import { invitesView } from '../views/invites.ts';
import { locksView } from '../views/locks.ts';
import { firstFailure, openViews, type Views } from '../views/open-views.ts';
import { presenceViewBy } from '../views/presence.ts';
import type { ReaderClock } from '../views/reader-clock.ts';
import { rolesView } from '../views/roles.ts';
import { supersededView } from '../views/superseded.ts';
import { tokensView } from '../views/tokens.ts';
import { usersView } from '../views/users.ts';
import type { View } from '../views/view.ts';

const foldedBy = (clock: ReaderClock) => ({
  state: {
    cluster: clusterView,
    configuration: configurationView,
    authorities: authoritiesView,
    roles: rolesView,
    users: usersView,
    invites: invitesView,
    tokens: tokensView,
    hosts: hostsView,
    identities: identitiesView,
    locks: locksView,
    superseded: supersededView,
  },
  presence: { presence: presenceViewBy(clock) },
});

/** What auth folds. */
export type AuthViews = Views<ReturnType<typeof foldedBy>> & {
  /** Since when this server knows of what ends by itself. */
  readonly heard: Heard;
  /** By which what the views hold grows old. */
  readonly clock: ReaderClock;
  /**
   * Resolves when every fold of `state` holds what is on the log now, by whichever auth server it was
   * written. Answers how far that is.
   */
  fresh(): Promise<Position>;
  /** Rejects when a fold cannot go on: what it holds would grow wrong. Never resolves. */
  readonly broken: Promise<never>;
};

/** @param live whether what is folded now was written now; default: it was not, as for one who only looks. */
export async function openAuthViews(
  log: ClusterLog,
  clock: ReaderClock,
  live: () => boolean = () => false,
): Promise<AuthViews> {
  const views = await openViews(log, foldedBy(clock));
  const heard = await heardBeside(views, log, { clock, live });
  const all = [...views.all, heard.view];
  const reached = async (position: Position): Promise<void> => {
    await Promise.all([views.reached(position), heard.view.reached(position)]);
  };
  return {
    ...views,
    all,
    heard,
    clock,
    reached,
    failure: () => firstFailure(all),
    broken: Promise.race(all.map(failureOf)),
    fresh: async () => {
      const head = await log.state.head();
      await reached(head);
      return head;
    },
    close: () => {
      for (const view of all) view.close();
    },
  };
}

/** The views are closed again when it cannot be opened. */
async function heardBeside(
  views: { readonly close: () => void },
  log: ClusterLog,
  by: Parameters<typeof openHeard>[2],
): Promise<Heard> {
  try {
    return await openHeard(log.state, await log.state.head(), by);
  } catch (e) {
    views.close();
    throw e;
  }
}

const failureOf = (view: View<unknown>): Promise<never> =>
  new Promise((_resolve, reject) => {
    view.changes.subscribe({ error: reject });
  });

import type { ClusterLog } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import { authoritiesView, type AuthoritiesState } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { configurationView } from '../views/configuration.ts';
import { hostsView, type HostsState } from '../views/hosts.ts';
import { type Heard, openHeard } from '../views/heard.ts';
import { invitesView, type InvitesState } from '../views/invites.ts';
import { openView } from '../views/open-view.ts';
import { type PresenceState, presenceViewBy } from '../views/presence.ts';
import type { ReaderClock } from '../views/reader-clock.ts';
import { rolesView, type RolesState } from '../views/roles.ts';
import { supersededView, type SupersededState } from '../views/superseded.ts';
import { usersView, type UsersState } from '../views/users.ts';
import { tokensView, type TokensState } from '../views/tokens.ts';
import type { Projection, View } from '../views/view.ts';
import type { ClusterState } from '../domain/cluster.ts';
import type { ConfigurationState } from '../domain/config-facts.ts';
import type { ViewState } from '../log/event-log.ts';

/** What auth folds. */
export interface AuthViews {
  readonly cluster: View<ClusterState>;
  readonly configuration: View<ConfigurationState>;
  readonly authorities: View<AuthoritiesState>;
  readonly roles: View<RolesState>;
  readonly users: View<UsersState>;
  readonly invites: View<InvitesState>;
  readonly tokens: View<TokensState>;
  readonly hosts: View<HostsState>;
  readonly superseded: View<SupersededState>;
  readonly presence: View<PresenceState>;
  /** Since when this server knows of what ends by itself. */
  readonly heard: Heard;
  /** By which what the views hold grows old. */
  readonly clock: ReaderClock;
  /** Resolves when every fold of `state` holds this position. */
  reached(position: Position): Promise<void>;
  /**
   * Resolves when every fold of `state` holds what is on the log now, by whichever auth server it was
   * written. Answers how far that is.
   */
  fresh(): Promise<Position>;
  /** Why one of them stands still for now; undefined while all follow. */
  failure(): Error | undefined;
  /** Rejects when a fold cannot go on: what it holds would grow wrong. Never resolves. */
  readonly broken: Promise<never>;
  /** For a snapshot. */
  stored(partition: 'state' | 'presence'): readonly ViewState[];
  close(): void;
}

/** @param live whether what is folded now was written now; default: it was not, as for one who only looks. */
export async function openAuthViews(
  log: ClusterLog,
  clock: ReaderClock,
  live: () => boolean = () => false,
): Promise<AuthViews> {
  const presenceView = presenceViewBy(clock);
  const [cluster, configuration, authorities, roles, users, invites, tokens, hosts, superseded, presence] =
    await Promise.all([
      openView(clusterView, log.state),
      openView(configurationView, log.state),
      openView(authoritiesView, log.state),
      openView(rolesView, log.state),
      openView(usersView, log.state),
      openView(invitesView, log.state),
      openView(tokensView, log.state),
      openView(hostsView, log.state),
      openView(supersededView, log.state),
      openView(presenceView, log.presence),
    ]);
  const heard = await openHeard(log.state, await log.state.head(), { clock, live });
  const ofState: readonly View<unknown>[] = [
    cluster,
    configuration,
    authorities,
    roles,
    users,
    invites,
    tokens,
    hosts,
    superseded,
    heard.view,
  ];
  const all = [...ofState, presence];
  const reached = async (position: Position): Promise<void> => {
    await Promise.all(ofState.map((view) => view.reached(position)));
  };
  return {
    cluster,
    configuration,
    authorities,
    roles,
    users,
    invites,
    tokens,
    hosts,
    superseded,
    presence,
    heard,
    clock,
    reached,
    failure: () => all.map((view) => view.failure()).find((failure) => failure !== undefined),
    broken: Promise.race(all.map(failureOf)),
    fresh: async () => {
      const head = await log.state.head();
      await reached(head);
      return head;
    },
    stored: (partition) =>
      partition === 'presence'
        ? [storedView(presenceView, presence)]
        : [
            storedView(clusterView, cluster),
            storedView(configurationView, configuration),
            storedView(authoritiesView, authorities),
            storedView(rolesView, roles),
            storedView(usersView, users),
            storedView(invitesView, invites),
            storedView(tokensView, tokens),
            storedView(hostsView, hosts),
            storedView(supersededView, superseded),
          ],
    close: () => {
      for (const view of all) view.close();
    },
  };
}

const storedView = <S>(projection: Projection<S>, view: View<S>): ViewState => ({
  name: projection.name,
  position: view.position(),
  state: projection.encode(view.state()),
});

const failureOf = (view: View<unknown>): Promise<never> =>
  new Promise((_resolve, reject) => {
    view.changes.subscribe({ error: reject });
  });

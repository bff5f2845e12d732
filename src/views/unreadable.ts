import type { Observable, Subscription } from 'rxjs';
import type { LogSink } from '../base/log-sink.ts';
import { type AuthoritiesState, unreadableAuthorities } from './authorities.ts';
import { type FoldedCluster, unreadableCluster } from './cluster.ts';
import { type FoldedConfiguration, unreadableConfiguration } from './configuration.ts';
import { type Unreadable, unreadableIn } from './entities.ts';
import type { HostsState } from './hosts.ts';
import type { IdentitiesState } from './identities.ts';
import type { InvitesState } from './invites.ts';
import type { LocksState } from './locks.ts';
import type { RequestsState } from './requests.ts';
import type { RolesState } from './roles.ts';
import type { RemoteClustersState } from './remote-clusters.ts';
import type { TokensState } from './tokens.ts';
import type { TrustedClustersState } from './trusted-clusters.ts';
import type { UsersState } from './users.ts';
import type { View } from './view.ts';

interface States {
  readonly cluster: FoldedCluster;
  readonly configuration: FoldedConfiguration;
  readonly authorities: AuthoritiesState;
  readonly roles: RolesState;
  readonly users: UsersState;
  readonly invites: InvitesState;
  readonly tokens: TokensState;
  readonly hosts: HostsState;
  readonly locks: LocksState;
  readonly requests: RequestsState;
  readonly identities: IdentitiesState;
  readonly trustedClusters: TrustedClustersState;
  readonly remoteClusters: RemoteClustersState;
}

/** Some of the views of `state`. */
export type ReadingViews = { readonly [K in keyof States]?: Pick<View<States[K]>, 'state'> };
type WatchedViews = { readonly [K in keyof States]?: Pick<View<States[K]>, 'state' | 'changes'> };

const readers: { readonly [K in keyof States]: (state: States[K]) => readonly Unreadable[] } = {
  cluster: unreadableCluster,
  configuration: unreadableConfiguration,
  authorities: unreadableAuthorities,
  roles: (state) => unreadableIn('role', state),
  users: (state) => unreadableIn('user', state),
  invites: (state) => unreadableIn('invite', state).map(shortened),
  tokens: (state) => unreadableIn('token', state).map(shortened),
  hosts: (state) => unreadableIn('host', state),
  locks: (state) => unreadableIn('lock', state),
  requests: (state) => unreadableIn('request', state),
  identities: (state) => unreadableIn('identity', state),
  trustedClusters: (state) => unreadableIn('trusted_cluster', state),
  remoteClusters: (state) => unreadableIn('remote_cluster', state),
};

/** The start of their hash, which is the key here: enough to distinguish them. */
const shortened = (one: Unreadable): Unreadable => ({ ...one, name: one.name.slice(0, 16) });

function unreadableBy(views: ReadingViews, kind: keyof States): readonly Unreadable[] {
  const state = views[kind]?.state();
  return state === undefined ? [] : (readers[kind] as (state: unknown) => readonly Unreadable[])(state);
}
const kinds = Object.keys(readers) as (keyof States)[];

/** Everything in these views that this release cannot read, and so treats as missing. */
export const unreadableOf = (views: ReadingViews): readonly Unreadable[] =>
  kinds.flatMap((kind) => unreadableBy(views, kind));

const shown = 5;

/** For `/readyz`; undefined where all can be read. Names the first few of many. */
export function unreadableText(views: ReadingViews): string | undefined {
  const all = unreadableOf(views);
  if (all.length === 0) return undefined;
  const named = all.slice(0, shown).map(({ kind, name, type, position }) => {
    const what = name === '' ? kind : `${kind} ${name}`;
    return `${what} (${type}, event ${position})`;
  });
  const more = all.length > shown ? ` and ${all.length - shown} more` : '';
  return `this release cannot read ${named.join(', ')}${more}, which a newer one wrote: treated as missing, so whoever needs it is refused${lockNote(all)}; upgrade this host`;
}

/** A missing entity admits nobody; but a missing lock does not keep anybody out. */
const lockNote = (all: readonly Unreadable[]): string =>
  all.some(({ kind }) => kind === 'lock')
    ? '; a lock holds, without its end, where it can be read whom it locks, and not at all where it cannot'
    : '';

/**
 * Reports each once: those that are there now, and those that come. One that could be read in between is
 * reported again.
 */
export function watchUnreadable(
  views: WatchedViews,
  report: (unreadable: Unreadable) => void,
): { readonly close: () => void } {
  const subscriptions = kinds.flatMap((kind): Subscription[] => {
    let told: ReadonlySet<string> = new Set();
    const look = (): void => {
      const now = unreadableBy(views, kind);
      if (now.length === 0 && told.size === 0) return;
      for (const one of now) if (!told.has(keyOf(one))) report(one);
      told = new Set(now.map(keyOf));
    };
    const view: { readonly changes: Observable<unknown> } | undefined = views[kind];
    // A view that fails is reported by its `failure`.
    const subscription = view?.changes.subscribe({ next: look, error: () => undefined });
    return subscription === undefined ? [] : [subscription];
  });
  return {
    close: () => {
      for (const one of subscriptions) one.unsubscribe();
    },
  };
}

const keyOf = ({ name, type, position }: Unreadable): string => JSON.stringify([name, type, position]);

/** The same views; what they cannot read is reported in `sink`, each once, until they are closed. */
export function reportingUnreadable<V extends WatchedViews & { close(): void }>(
  views: V,
  sink: Pick<LogSink, 'warn'>,
): V {
  const reports = watchUnreadable(views, ({ kind, name, type, position, why, about }) => {
    sink.warn(
      'this release cannot read what a newer one wrote, and treats it as missing: upgrade this host',
      {
        [kind]: name,
        ...(about === undefined ? {} : { role: about }),
        fact: type,
        event: position,
        why,
      },
    );
  });
  const close = (): void => {
    reports.close();
    views.close();
  };
  return { ...views, close };
}

import type { Observable, Subscription } from 'rxjs';
import type { LogSink } from '../base/log-sink.ts';
import { type AuthoritiesState, unreadableAuthorities } from './authorities.ts';
import { type FoldedCluster, unreadableCluster } from './cluster.ts';
import { type FoldedConfiguration, unreadableConfiguration } from './configuration.ts';
import { type Unreadable, unreadableIn, type Withheld } from './entities.ts';
import { type FoldedRecording, unreadableRecording } from './recording.ts';
import type { HostsState } from './hosts.ts';
import type { IdentitiesState } from './identities.ts';
import type { InvitesState } from './invites.ts';
import type { LocksState } from './locks.ts';
import type { RequestsState } from './requests.ts';
import type { RolesState } from './roles.ts';
import type { RemoteClustersState } from './remote-clusters.ts';
import { emptyTable, setIn, type Table } from './table.ts';
import { eachChange } from './table-changes.ts';
import type { TokensState } from './tokens.ts';
import type { TrustedClustersState } from './trusted-clusters.ts';
import type { UsersState } from './users.ts';
import type { View } from './view.ts';

interface States {
  readonly cluster: FoldedCluster;
  readonly configuration: FoldedConfiguration;
  readonly recording: FoldedRecording;
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
  recording: unreadableRecording,
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
    const look = lookingAt(kind, report);
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

/**
 * To be called with each state of a view: reports what the state before did not have. When a newer release
 * has written something of every host, one event more costs no look at all of them.
 */
function lookingAt(kind: keyof States, report: (unreadable: Unreadable) => void): (state: unknown) => void {
  const read = readers[kind] as (state: unknown) => readonly Unreadable[];
  let before: unknown;
  return (state) => {
    const [was, is] = differing(before, state);
    before = state;
    const told = new Set(was === undefined ? [] : read(was).map(keyOf));
    for (const one of read(is)) if (!told.has(keyOf(one))) report(one);
  };
}

/** Of two states of one view what differs in the entities that they withhold; other views have few facts. */
function differing(before: unknown, after: unknown): readonly [unknown, unknown] {
  const [old, now] = [withheldIn(before) ?? emptyTable, withheldIn(after)];
  if (now === undefined) return [before, after];
  let [was, is]: readonly [WithheldTable, WithheldTable] = [emptyTable, emptyTable];
  eachChange(old, now, (key, one, other) => {
    if (one !== undefined) was = setIn(was, key, one);
    if (other !== undefined) is = setIn(is, key, other);
    return true;
  });
  return [{ unreadable: was }, { unreadable: is }];
}

type WithheldTable = Table<Withheld<unknown>>;

function withheldIn(state: unknown): WithheldTable | undefined {
  const { unreadable } = (state ?? {}) as { readonly unreadable?: WithheldTable | readonly unknown[] };
  return unreadable !== undefined && 'root' in unreadable ? unreadable : undefined;
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

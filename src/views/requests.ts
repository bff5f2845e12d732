import type { Instant } from '../base/time.ts';
import { type AccessRequestFact, accessRequestFact } from '../domain/access-request.ts';
import type { Annotations } from '../domain/may-request.ts';
import { idInStream } from '../domain/streams.ts';
import type { Fact, Recorded, StreamName } from '../log/event.ts';
import {
  type Entities,
  foldEntity,
  type Folding,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { type IdIndex, idIndexOf, idsUnder, noIds, withId, withoutId } from './id-index.ts';
import { readFact, typesOf } from './read-fact.ts';
import { entriesOf, getIn, removeIn, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

/** How a request was resolved. */
export interface Resolution {
  readonly at: Instant;
  /** The actor. */
  readonly by: string;
  readonly reason: string;
  readonly delegator: string;
  readonly annotations: Annotations;
}

export interface RequestEntry {
  readonly id: string;
  readonly status: 'pending' | 'approved' | 'denied';
  readonly user: string;
  readonly lifeId: string;
  /** Those that were requested; of one that is approved, those that are granted. */
  readonly roles: readonly string[];
  /** When it ends, whatever its status; the caller compares that with its clock. */
  readonly expiresAt: Instant;
  /** What only auth servers are given; null elsewhere. */
  readonly request: {
    readonly createdAt: Instant;
    readonly reason: string;
    readonly annotations: Annotations;
  } | null;
  readonly resolution: Resolution | null;
}

export interface RequestsState extends Entities<RequestEntry> {
  /** Ids of those in `known`, by user and by role. */
  readonly byKey: IdIndex;
}

const types = typesOf(accessRequestFact);

/**
 * Access requests by id, until they are removed. What they are about ends them for good: the deletion of the
 * user or of one of the roles, for a later user or role of the name is another one, and a lock of the user.
 * (A lock of a role keeps out whoever has it by a request, as long as it lasts.)
 */
export const requestsView: Projection<RequestsState> = {
  name: 'requests.1',
  initial: { ...noEntities, byKey: noIds },
  apply(requests, event) {
    const id = idInStream(event.stream, 'request');
    if (id === undefined) return withoutThoseOf(requests, event);
    const evolve: Folding<RequestEntry, AccessRequestFact>['evolve'] = (before, fact) =>
      entryAfter(before, fact, event, id);
    const reading = readFact(accessRequestFact, types, event);
    return indexed(requests, foldEntity(requests, id, reading, { evolve, settles }), id);
  },
  encode: storedEntities,
  decode: (stored) => {
    const { known, unreadable } = stored as StoredEntities<RequestEntry>;
    return {
      known: tableFrom(known),
      unreadable: tableFrom(unreadable),
      byKey: idIndexOf(known.flatMap(([id, entry]) => keysOf(entry).map((key) => [key, id] as const))),
    };
  },
};

function entryAfter(
  before: RequestEntry | undefined,
  fact: AccessRequestFact,
  { cause }: Recorded,
  id: string,
): RequestEntry | undefined {
  if (fact.type === 'request.ended') return undefined;
  const { user, lifeId, roles, expiresAt, reason, annotations } = fact.data;
  const common = { id, user, lifeId, roles, expiresAt };
  if (fact.type === 'request.created')
    return {
      ...common,
      status: 'pending',
      request: { createdAt: cause.at, reason, annotations },
      resolution: null,
    };
  const { state: status, delegator } = fact.data;
  const resolution = { at: cause.at, by: cause.actor, reason, delegator, annotations };
  return { ...common, status, request: before?.request ?? null, resolution };
}

/** A request that cannot be read is missing until it ends. */
const settles = ({ type }: AccessRequestFact): boolean => type === 'request.ended';

function withoutThoseOf(requests: RequestsState, { stream, fact }: Recorded): RequestsState {
  const key = endedBy(stream, fact);
  const ids = key === undefined ? [] : idsUnder(requests.byKey, key);
  return ids.reduce((left, id) => {
    const { known, unreadable } = left;
    return indexed(left, { known: removeIn(known, id), unreadable }, id);
  }, requests);
}

/** What a fact ends, as `keysOf` has it. */
function endedBy(stream: StreamName, fact: Fact): string | undefined {
  switch (fact.type) {
    case 'user.deleted':
      return ofUser(idInStream(stream, 'user') ?? '');
    case 'role.deleted':
      return ofRole(idInStream(stream, 'role') ?? '');
    case 'lock.created': {
      const { target } = fact.data as {
        readonly target?: { readonly kind?: unknown; readonly name?: unknown };
      };
      return target?.kind === 'user' && typeof target.name === 'string' ? ofUser(target.name) : undefined;
    }
    default:
      return undefined;
  }
}

const ofUser = (name: string): string => `user:${name}`;
const ofRole = (name: string): string => `role:${name}`;
const keysOf = (entry: RequestEntry | undefined): readonly string[] =>
  entry === undefined ? [] : [ofUser(entry.user), ...new Set(entry.roles.map(ofRole))];

/** With the index of the one request that may have changed. */
function indexed(before: RequestsState, after: Entities<RequestEntry>, id: string): RequestsState {
  const [old, now] = [getIn(before.known, id), getIn(after.known, id)];
  if (after.known === before.known && after.unreadable === before.unreadable) return before;
  return { ...after, byKey: added(removed(before.byKey, keysOf(old), id), keysOf(now), id) };
}

const added = (index: IdIndex, keys: readonly string[], id: string): IdIndex =>
  keys.reduce((left, key) => withId(left, key, id), index);

const removed = (index: IdIndex, keys: readonly string[], id: string): IdIndex =>
  keys.reduce((left, key) => withoutId(left, key, id), index);

/** Undefined for one that was removed, never existed, or that this release cannot read. */
export const findRequest = ({ known }: RequestsState, id: string): RequestEntry | undefined =>
  getIn(known, id);

/** Those that have not expired by then, the oldest first. */
export const requestsAt = ({ known }: RequestsState, now: Instant): readonly RequestEntry[] =>
  lasting(
    entriesOf(known).map(([, entry]) => entry),
    now,
  );

/** The same, of one user. */
export const requestsOf = (
  { known, byKey }: RequestsState,
  user: string,
  now: Instant,
): readonly RequestEntry[] =>
  lasting(
    idsUnder(byKey, ofUser(user)).flatMap((id) => getIn(known, id) ?? []),
    now,
  );

const lasting = (entries: readonly RequestEntry[], now: Instant): readonly RequestEntry[] =>
  entries
    .filter(({ expiresAt }) => now < expiresAt)
    .sort((a, b) => compared(a.request?.createdAt ?? '', b.request?.createdAt ?? '') || compared(a.id, b.id));

const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

/** Ids of those that had expired by then. */
export const expiredRequests = ({ known }: RequestsState, by: Instant): readonly string[] =>
  entriesOf(known).flatMap(([id, { expiresAt }]) => (expiresAt <= by ? [id] : []));

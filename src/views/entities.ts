import type { Reading, UnreadableFact } from './read-fact.ts';
import { emptyTable, entriesOf, type Entry, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';

/**
 * The entities of a view by key, and apart from them those that this release cannot read: a lookup does not
 * find those, so they are treated as missing.
 */
export interface Entities<V> {
  readonly known: Table<V>;
  readonly unreadable: Table<Withheld<V>>;
}

export interface Withheld<V> {
  /** The entity folded from the facts that can be read; null where there is none. Never to decide by. */
  readonly last: V | null;
  /** The facts that cannot be read, one of each kind. */
  readonly facts: readonly UnreadableFact[];
}

/** How the facts of one entity are folded. */
export interface Folding<V, F> {
  /** The entity after the fact; undefined: there is none. */
  readonly evolve: (before: V | undefined, fact: F) => V | undefined;
  /** Whether the unreadable fact no longer matters once this one follows it. */
  readonly settles: (fact: F, unread: UnreadableFact) => boolean;
}

export const noEntities: Entities<never> = { known: emptyTable, unreadable: emptyTable };

/** Returns the same object when the fact does not concern the entity. */
export function foldEntity<V, F>(
  entities: Entities<V>,
  key: string,
  reading: Reading<F>,
  { evolve, settles }: Folding<V, F>,
): Entities<V> {
  if (reading.status === 'ignored') return entities;
  const withheld = getIn(entities.unreadable, key);
  const before = getIn(entities.known, key) ?? withheld?.last ?? undefined;
  if (reading.status === 'unreadable') {
    return placed(entities, key, before, withUnread(withheld?.facts ?? [], reading.unread));
  }
  const { fact } = reading;
  const facts = withheld?.facts.filter((one) => !settles(fact, one)) ?? [];
  return placed(entities, key, evolve(before, fact), facts);
}

function placed<V>(
  entities: Entities<V>,
  key: string,
  value: V | undefined,
  facts: readonly UnreadableFact[],
): Entities<V> {
  const { known, unreadable } = entities;
  if (facts.length > 0)
    return {
      known: removeIn(known, key),
      unreadable: setIn(unreadable, key, { last: value ?? null, facts }),
    };
  const readable = value === undefined ? removeIn(known, key) : setIn(known, key, value);
  const others = removeIn(unreadable, key);
  return readable === known && others === unreadable ? entities : { known: readable, unreadable: others };
}

/** Of each kind the last one. */
export const withUnread = (
  facts: readonly UnreadableFact[],
  unread: UnreadableFact,
): readonly UnreadableFact[] => [...facts.filter((one) => kindOf(one) !== kindOf(unread)), unread];

const kindOf = ({ type, about, critical }: UnreadableFact): string => JSON.stringify([type, about, critical]);

/** In the form of a snapshot. */
export interface StoredEntities<V> {
  readonly known: readonly Entry<V>[];
  readonly unreadable: readonly Entry<Withheld<V>>[];
}

export const storedEntities = <V>({ known, unreadable }: Entities<V>): StoredEntities<V> => ({
  known: entriesOf(known),
  unreadable: entriesOf(unreadable),
});

export const entitiesFrom = <V>({ known, unreadable }: StoredEntities<V>): Entities<V> => ({
  known: tableFrom(known),
  unreadable: tableFrom(unreadable),
});

/** Converts each entity, including those that are withheld. */
export function mapStored<V, W>(
  { known, unreadable }: StoredEntities<V>,
  make: (value: V) => W,
): StoredEntities<W> {
  return {
    known: known.map(([key, value]) => [key, make(value)]),
    unreadable: unreadable.map(([key, { last, facts }]) => [
      key,
      { last: last === null ? null : make(last), facts },
    ]),
  };
}

/** From the snapshots of a release that stopped at the first fact that it could not read, and so has none. */
export const allKnown = (stored: unknown): StoredEntities<unknown> => ({
  known: stored as readonly Entry<unknown>[],
  unreadable: [],
});

/** Something that this release cannot read, for people. */
export interface Unreadable extends UnreadableFact {
  /** `role`, `user`, … */
  readonly kind: string;
  readonly name: string;
}

export const unreadableIn = <V>(
  kind: string,
  { unreadable }: Pick<Entities<V>, 'unreadable'>,
): readonly Unreadable[] =>
  unreadable.size === 0
    ? []
    : entriesOf(unreadable).flatMap(([name, { facts }]) => facts.map((fact) => ({ kind, name, ...fact })));

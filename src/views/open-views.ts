import type { Followable, ViewState } from '../log/event-log.ts';
import type { Partition, Position } from '../log/event.ts';
import { oneReading, type OneReading } from './one-reading.ts';
import { type Restored, restoreView } from './open-view.ts';
import type { Projection, View } from './view.ts';

/** By the name that each view gets: its projection. */
export type Projections = Readonly<Record<string, Projection<unknown>>>;

/**
 * The views of a service, by partition. A view is added by one entry here. Names are unique over all
 * partitions.
 */
export type Folded = Readonly<Partial<Record<Partition, Projections>>>;

type NameIn<F extends Folded> = { [P in keyof F]: keyof F[P] }[keyof F];
type StateOf<F extends Folded, Name> = {
  [P in keyof F]: Name extends keyof F[P]
    ? F[P][Name] extends Projection<infer State>
      ? State
      : never
    : never;
}[keyof F];

/**
 * The views by their names, opened and closed together. Each moves by itself: two may differ by events
 * appended a moment ago.
 */
export type Views<F extends Folded, Beside extends Folded = never> = {
  readonly [Name in NameIn<F>]: View<StateOf<F, Name>>;
} & { readonly [Name in NameIn<Beside>]: View<StateOf<Beside, Name>> } & ViewGroup;

export interface ViewGroup {
  /** Without those beside. */
  readonly all: readonly View<unknown>[];
  /** Resolves once all views of `state` include `position`; rejects when one never will. */
  reached(position: Position): Promise<void>;
  /** Why one of them has stopped; undefined while all follow. */
  failure(): Error | undefined;
  /** For a snapshot. */
  stored(partition: Partition): readonly ViewState[];
  close(): void;
}

type Logs<F extends Folded> = Readonly<Record<keyof F, Followable>>;

/**
 * Opens all of them, or none: when one cannot be opened, those that were are closed again. Those that have
 * the same position in a partition share one reading of it.
 * @throws what `openView` throws for the first that cannot be opened.
 */
export const openViews = async <F extends Folded>(log: Logs<F>, folded: F): Promise<Views<F>> =>
  (await openAll(log, entriesOf(folded, 'awaited'))) as Views<F>;

/**
 * The same with views beside: nobody waits for these, and where one has stopped, that is nobody else's
 * failure.
 */
export const openViewsWith = async <F extends Folded, Beside extends Folded>(
  log: Logs<F> & Logs<Beside>,
  folded: F,
  beside: Beside,
): Promise<Views<F, Beside>> =>
  (await openAll<keyof F | keyof Beside>(log, [
    ...entriesOf(folded, 'awaited'),
    ...entriesOf(beside, 'beside'),
  ])) as Views<F, Beside>;

async function openAll<Of extends PropertyKey>(
  log: Readonly<Record<Of, Followable>>,
  entries: readonly Entry<Of>[],
): Promise<ViewGroup> {
  const readings = new Map<Of, OneReading>();
  const readingOf = (partition: Of): OneReading => {
    const known = readings.get(partition) ?? oneReading(log[partition]);
    readings.set(partition, known);
    return known;
  };
  const opening = entries.map(async (entry): Promise<Opened> => {
    const restored = await restoreView(entry.projection, readingOf(entry.partition).log);
    return { ...entry, ...restored };
  });
  const settled = await Promise.allSettled(opening);
  const opened = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const group = groupOf(opened);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    group.close();
    throw failed.reason;
  }
  for (const { follow } of opened) follow();
  for (const reading of readings.values()) reading.begin();
  return { ...Object.fromEntries(opened.map(({ name, view }) => [name, view])), ...group };
}

interface Entry<Of> {
  readonly partition: Of;
  readonly name: string;
  readonly projection: Projection<unknown>;
  readonly role: 'awaited' | 'beside';
}
interface Opened extends Entry<PropertyKey>, Restored<unknown> {}

const entriesOf = <F extends Folded>(folded: F, role: Entry<keyof F>['role']): readonly Entry<keyof F>[] =>
  Object.entries<Projections>(folded).flatMap(([partition, projections]) =>
    Object.entries(projections).map(([name, projection]) => ({
      partition: partition as keyof F,
      name,
      projection,
      role,
    })),
  );

function groupOf(opened: readonly Opened[]): ViewGroup {
  const awaited = opened.filter(({ role }) => role === 'awaited');
  const all = awaited.map(({ view }) => view);
  const isStored = ({ role, view }: Opened): boolean => role === 'awaited' || view.failure() === undefined;
  return {
    all,
    reached: async (position) => {
      const ofState = awaited.filter(({ partition }) => partition === 'state');
      await Promise.all(ofState.map(({ view }) => view.reached(position)));
    },
    failure: () => firstFailure(all),
    stored: (wanted) =>
      opened
        .filter((one) => one.partition === wanted && isStored(one))
        .map(({ projection, view }) => storedView(projection, view)),
    close: () => {
      for (const { view } of opened) view.close();
    },
  };
}

/**
 * The state of a view as it is now, for a snapshot. Encoded when it is asked for: that of many hosts takes
 * long, and a caller may need another one.
 */
export function storedView<S>(
  projection: Projection<S>,
  view: Pick<View<S>, 'state' | 'position'>,
): ViewState {
  const [state, position] = [view.state(), view.position()];
  let encoded: { readonly state: unknown } | undefined;
  return {
    name: projection.name,
    position,
    get state() {
      encoded ??= { state: projection.encode(state) };
      return encoded.state;
    },
  };
}

/** Why one of them has stopped; undefined while all follow. */
export const firstFailure = (views: readonly View<unknown>[]): Error | undefined =>
  views.map((view) => view.failure()).find((failure) => failure !== undefined);

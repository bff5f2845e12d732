import type { Followable, ViewState } from '../log/event-log.ts';
import type { Partition, Position } from '../log/event.ts';
import { openView } from './open-view.ts';
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
export type Views<F extends Folded> = { readonly [Name in NameIn<F>]: View<StateOf<F, Name>> } & ViewGroup;

export interface ViewGroup {
  readonly all: readonly View<unknown>[];
  /** Resolves once all views of `state` include `position`; rejects when one never will. */
  reached(position: Position): Promise<void>;
  /** Why one of them has stopped; undefined while all follow. */
  failure(): Error | undefined;
  /** For a snapshot. */
  stored(partition: Partition): readonly ViewState[];
  close(): void;
}

/**
 * Opens all of them, or none: when one cannot be opened, those that were are closed again.
 * @throws what `openView` throws for the first that cannot be opened.
 */
export async function openViews<F extends Folded>(
  log: Readonly<Record<keyof F, Followable>>,
  folded: F,
): Promise<Views<F>> {
  const opening = entriesOf(folded).map(async ({ partition, name, projection }): Promise<Opened> => {
    const view = await openView(projection, log[partition]);
    return { partition, name, projection, view };
  });
  const settled = await Promise.allSettled(opening);
  const opened = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const group = groupOf(opened);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed !== undefined) {
    group.close();
    throw failed.reason;
  }
  return { ...Object.fromEntries(opened.map(({ name, view }) => [name, view])), ...group } as Views<F>;
}

interface Entry<Of> {
  readonly partition: Of;
  readonly name: string;
  readonly projection: Projection<unknown>;
}
interface Opened extends Entry<PropertyKey> {
  readonly view: View<unknown>;
}

const entriesOf = <F extends Folded>(folded: F): readonly Entry<keyof F>[] =>
  Object.entries<Projections>(folded).flatMap(([partition, projections]) =>
    Object.entries(projections).map(([name, projection]) => ({
      partition: partition as keyof F,
      name,
      projection,
    })),
  );

function groupOf(opened: readonly Opened[]): ViewGroup {
  const all = opened.map(({ view }) => view);
  const ofPartition = (wanted: Partition): readonly Opened[] =>
    opened.filter(({ partition }) => partition === wanted);
  return {
    all,
    reached: async (position) => {
      await Promise.all(ofPartition('state').map(({ view }) => view.reached(position)));
    },
    failure: () => firstFailure(all),
    stored: (partition) => ofPartition(partition).map(({ projection, view }) => storedView(projection, view)),
    close: () => {
      for (const view of all) view.close();
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

import type { Followable } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import { openView } from './open-view.ts';
import type { Projection, View } from './view.ts';

/** The projection of each view by the name it gets. */
export type Projections<States extends object> = { readonly [K in keyof States]: Projection<States[K]> };

/** Several views of one partition, opened and closed together. */
export interface Views<States extends object> {
  readonly of: { readonly [K in keyof States]: View<States[K]> };
  /** Resolves once all of them include `position`; rejects when one never will. */
  reached(position: Position): Promise<void>;
  /** Why one of them stands still for good; undefined while all follow. */
  failure(): Error | undefined;
  close(): void;
}

/**
 * Opens all of them, or none: when one cannot be opened, those that were are closed again.
 * Each view moves by itself, so two of them may differ by what was appended a moment ago.
 */
export async function openViews<States extends object>(
  log: Followable,
  projections: Projections<States>,
): Promise<Views<States>> {
  const entries = Object.entries<Projection<unknown>>(projections);
  const opened = await Promise.allSettled(
    entries.map(async ([name, projection]) => [name, await openView(projection, log)] as const),
  );
  const views = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const close = (): void => {
    for (const [, view] of views) view.close();
  };
  for (const one of opened)
    if (one.status === 'rejected') {
      close();
      throw one.reason;
    }
  return {
    of: Object.fromEntries(views) as unknown as Views<States>['of'],
    reached: async (position) => {
      await Promise.all(views.map(([, view]) => view.reached(position)));
    },
    failure: () => views.map(([, view]) => view.failure()).find((failure) => failure !== undefined),
    close,
  };
}

import type { Followable } from '../log/event-log.ts';
import type { Position } from '../log/event.ts';
import type { Projection } from './view.ts';

/** A state and the position up to which it was folded. */
export interface Fold<State> {
  readonly state: State;
  readonly position: Position;
}

/** The snapshot that is kept for the projection, or for an earlier version of it, if it is after `after`. */
export async function storedState<State>(
  projection: Projection<State>,
  log: Pick<Followable, 'snapshot'>,
  after: Position,
): Promise<Fold<State> | undefined> {
  const own = await log.snapshot(projection.name);
  if (own && own.position > after) return { state: projection.decode(own.state), position: own.position };
  for (const one of projection.earlier ?? []) {
    const stored = await log.snapshot(one.name);
    if (!stored || stored.position <= after) continue;
    return { state: projection.decode(one.upcast(stored.state)), position: stored.position };
  }
  return undefined;
}

import { nextTurn } from '../base/turns.ts';
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
  if (own && own.position > after) return decoded(projection, own);
  for (const one of projection.earlier ?? []) {
    const stored = await log.snapshot(one.name);
    if (!stored || stored.position <= after) continue;
    return decoded(projection, { ...stored, state: one.upcast(stored.state) });
  }
  return undefined;
}

/** In a turn of its own: it was parsed a moment ago, which takes as long, and so are those of other views. */
async function decoded<State>(
  { decode }: Pick<Projection<State>, 'decode'>,
  { state, position }: Fold<unknown>,
): Promise<Fold<State>> {
  await nextTurn();
  return { state: decode(state), position };
}

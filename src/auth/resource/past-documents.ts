import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { type Instant, plusMs } from '../../base/time.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { Position } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';
import { byName } from './known-documents.ts';
import type { PastKind } from './past-kind.ts';
import type { ServedKind } from './served-kind.ts';

type Deps = Pick<AuthDeps, 'log' | 'past' | 'world'>;

/** @throws CodedError `bad_request` */
export function pastOf({ kind, past }: ServedKind): PastKind {
  if (past !== undefined) return past;
  throw new CodedError('bad_request', `what resources of kind ${JSON.stringify(kind.kind)} were is not kept`);
}

/** All of a kind as they were at that time, by name. */
export async function pastDocuments(
  deps: Deps,
  { deadline }: Call,
  served: ServedKind,
  at: Instant,
): Promise<readonly ResourceDocument[]> {
  const kind = pastOf(served);
  const states = await deps.past.at(await positionAt(deps, at), deadline);
  return byName(kind.all(states[kind.view], at));
}

/** Reads the events of this one alone: the rest of the log does not matter to it. */
export async function pastDocument(
  deps: Deps,
  { deadline }: Call,
  { served, name, at }: { readonly served: ServedKind; readonly name: string; readonly at: Instant },
): Promise<ResourceDocument | undefined> {
  const kind = pastOf(served);
  const last = await positionAt(deps, at);
  let state = kind.projection.initial;
  for await (const event of deps.log.state.read(kind.stream(name))) {
    if (event.position > last) break;
    if (deadline.isOver())
      throw new CodedError('unavailable', `the events of ${JSON.stringify(name)} could not be read in time`);
    state = kind.projection.apply(state, event);
  }
  return kind.find(state, name, at);
}

/**
 * Of the last event at or before that time. @throws CodedError `bad_request` for one that has not come yet.
 */
function positionAt({ log, world }: Deps, at: Instant): Promise<Position> {
  if (at > world.now())
    throw new CodedError('bad_request', `${at} has not come yet: only earlier times can be asked for`);
  return log.state.positionBefore(plusMs(at, 1));
}

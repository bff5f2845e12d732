import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { AuthDeps } from '../deps.ts';
import { positionAt } from '../past/position-at.ts';
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
  const stream = await kind.stream(name, deps.log.state);
  if (stream === undefined) return undefined;
  for await (const event of deps.log.state.read(stream)) {
    if (event.position > last) break;
    if (deadline.isOver())
      throw new CodedError('unavailable', `the events of ${JSON.stringify(name)} could not be read in time`);
    state = kind.projection.apply(state, event);
  }
  return kind.find(state, name, at);
}

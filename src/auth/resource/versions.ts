import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Position, Recorded } from '../../log/event.ts';
import type { Call } from '../../api/server-deps.ts';
import type { PastKind } from './past-kind.ts';
import { revisionOf } from './revision.ts';

/** One version of a resource, and what made it. */
export interface ResourceVersion {
  /** `unreadable`: a newer release wrote it, and this one does not know what it became. */
  readonly status: 'created' | 'updated' | 'deleted' | 'unreadable';
  readonly at: Instant;
  readonly actor: string;
  readonly requestId: string;
  /** Of its last event. */
  readonly position: Position;
  /** As it was then; left out for `deleted` and `unreadable`. */
  readonly document?: ResourceDocument;
}

/**
 * Every version of one resource, the oldest first. Events that leave its document as it was, such as logins
 * of a user, make none; the facts of one request make one.
 * @throws CodedError `unavailable` when the caller no longer waits.
 */
export async function* versionsOf(
  log: Pick<EventLog, 'read' | 'streamsNamed'>,
  kind: PastKind,
  name: string,
  { deadline }: Pick<Call, 'deadline'>,
): AsyncGenerator<ResourceVersion> {
  let state = kind.projection.initial;
  let before: ResourceVersion | undefined;
  let held: ResourceVersion | undefined;
  const stream = await kind.stream(name, log);
  if (stream === undefined) return;
  for await (const event of log.read(stream)) {
    if (deadline.isOver())
      throw new CodedError(
        'unavailable',
        `the history of ${JSON.stringify(name)} is too long to be read in time`,
      );
    state = kind.projection.apply(state, event);
    const isUnreadable = kind.isUnreadable(state, name);
    const document = isUnreadable ? undefined : kind.find(state, name, undefined);
    const last = held ?? before;
    if (isSame(last, document, isUnreadable)) continue;
    if (held !== undefined && isOfOneRequest(held, event)) {
      held = versionOf(event, { before, document, isUnreadable });
      continue;
    }
    if (held !== undefined) yield held;
    before = held;
    held = versionOf(event, { before, document, isUnreadable });
  }
  if (held !== undefined) yield held;
}

interface Change {
  readonly before: ResourceVersion | undefined;
  readonly document: ResourceDocument | undefined;
  readonly isUnreadable: boolean;
}

function versionOf(
  { cause, position }: Recorded,
  { before, document, isUnreadable }: Change,
): ResourceVersion {
  const { at, actor, requestId } = cause;
  const made = { at, actor, requestId, position };
  if (isUnreadable) return { status: 'unreadable', ...made };
  if (document === undefined) return { status: 'deleted', ...made };
  const isNew = before === undefined || before.status === 'deleted';
  return { status: isNew ? 'created' : 'updated', ...made, document };
}

const isOfOneRequest = ({ requestId, at }: ResourceVersion, { cause }: Recorded): boolean =>
  requestId === cause.requestId && at === cause.at;

function isSame(
  last: ResourceVersion | undefined,
  document: ResourceDocument | undefined,
  isUnreadable: boolean,
): boolean {
  if (isUnreadable) return last?.status === 'unreadable';
  if (last?.status === 'unreadable') return false;
  const known = last?.document;
  if (known === undefined || document === undefined) return known === document;
  return revisionOf(known) === revisionOf(document);
}

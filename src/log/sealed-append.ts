import type { Deadline } from '../base/deadline.ts';
import { allSettled } from '../base/settled.ts';
import type { Appender, AppendTrace } from './appender.ts';
import type { DiscardedKeys } from './discarded-keys.ts';
import type { Write } from './event-log.ts';
import type { Cause, Fact, Position, StreamName } from './event.ts';
import type { Sealing } from './sealing.ts';
import { draftEvent, type EventDraft } from './stored-event.ts';

export interface SealedAppend {
  readonly cause: Cause;
  readonly ids: Iterator<string>;
  readonly deadline: Deadline;
  /** As in `AppendOptions`. */
  readonly head: Position | undefined;
}

/**
 * Appends facts some of which have secrets. The data keys are durable before the events. When the events are
 * not stored, the keys are destroyed: at once if nothing was sent, otherwise when the slot for which they
 * were sent is seen to hold another batch.
 */
export async function appendSealed(
  parts: { readonly sealing: Sealing; readonly discarded: DiscardedKeys; readonly appender: Appender },
  writes: readonly Write[],
  { cause, ids, deadline, head }: SealedAppend,
): Promise<Position> {
  const made: string[] = [];
  const trace: AppendTrace = {};
  const eventIds = new Set<string>();
  const seal = async (stream: StreamName, fact: Fact, id: string): Promise<EventDraft> => {
    eventIds.add(id);
    const place = { stream, eventId: id, type: fact.type };
    const sealed = fact.secrets && (await parts.sealing.seal(place, fact.secrets, made));
    return draftEvent(id, stream, fact, cause, sealed);
  };
  const numbered = writes.map(({ stream, expected, facts }) => {
    const events = facts.map((fact) => ({ fact, id: nextId(ids) }));
    return { stream, expected, events };
  });
  try {
    const drafts = await allSettled(
      numbered.map(async ({ stream, expected, events }) => ({
        stream,
        expected,
        events: await allSettled(events.map(({ fact, id }) => seal(stream, fact, id))),
      })),
    );
    deadline.begin();
    return await parts.appender.append(drafts, cause.at, { trace, deadline, head });
  } catch (e) {
    await parts.discarded.add({ keyIds: made, eventIds, sentSlot: trace.sentSlot });
    throw e;
  }
}

export function nextId(ids: Iterator<string>): string {
  const { value } = ids.next() as IteratorResult<string, undefined>;
  if (value === undefined) throw new Error('bug: fewer ids than events');
  return value;
}

import type { World } from '../base/world.ts';
import type { DraftWrite } from './appender.ts';
import type { Write } from './event-log.ts';
import type { Cause } from './event.ts';
import { nextId } from './sealed-append.ts';
import { draftEvent } from './stored-event.ts';
import { uuidV7 } from './uuid-v7.ts';

/** Ids of `count` events. The last is `id`, when there is one: its position is what the append returns. */
export function newIds(world: World, count: number, id: string | undefined): Iterator<string> {
  const made = Array.from({ length: count }, (_, i) =>
    i === count - 1 && id !== undefined ? id : uuidV7(world),
  );
  return made.values();
}

/** Of facts without secrets. */
export const draftWrites = (writes: readonly Write[], cause: Cause, ids: Iterator<string>): DraftWrite[] =>
  writes.map(({ stream, expected, facts }) => ({
    stream,
    expected,
    events: facts.map((fact) => draftEvent(nextId(ids), stream, fact, cause, undefined)),
  }));

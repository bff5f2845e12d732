import { Observable, type Subscriber } from 'rxjs';
import type { Followable, ViewSnapshot, Wanted } from '../log/event-log.ts';
import type { Cause, Fact, Followed, Position, Recorded, StreamName } from '../log/event.ts';
import type { Projection } from './view.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r1' };

/** As a log would have stored it. */
export const recordedAt = (
  position: Position,
  stream: StreamName,
  fact: Fact,
  at: string = cause.at,
): Recorded => ({
  id: `00000000-0000-7000-8000-${position.toString(16).padStart(12, '0')}`,
  stream,
  revision: position,
  position,
  cause: { ...cause, at },
  fact: { type: fact.type, data: fact.data },
});

/** The state that a projection folds from these facts; it must also survive its own snapshot. */
export function project<S>(
  projection: Projection<S>,
  facts: readonly (readonly [stream: StreamName, fact: Fact, at?: string])[],
): S {
  let state = projection.initial;
  facts.forEach(([stream, fact, at], i) => {
    state = projection.apply(state, recordedAt(i + 1, stream, fact, at));
  });
  return projection.decode(JSON.parse(JSON.stringify(projection.encode(state))));
}

/** A log that delivers what the test tells it to, when it tells it to. */
export interface ScriptedLog extends Required<Followable> {
  tell(...events: Followed[]): void;
  fail(e: unknown): void;
  complete(): void;
  /** What `snapshot` returns from now on, for any name or for this one. */
  snapshots: ViewSnapshot | undefined | Error;
  readonly byName: Map<string, ViewSnapshot>;
  /** Position of the newest event: the last one delivered, unless a test sets another. */
  newest: Position;
  /** Position before the oldest event that is kept; undefined where the other side does not report it. */
  beginning: Position | undefined;
  /** Where each `follow` began. */
  readonly begun: Position[];
  /** The event that each named as the one it begins after. */
  readonly ids: (string | undefined)[];
  /** What each wanted. */
  readonly wanted: (Wanted | undefined)[];
  /** It has other events than those delivered before. */
  other: boolean;
  readonly readers: ReadonlySet<Subscriber<Followed>>;
}

export function scriptedLog(): ScriptedLog {
  const readers = new Set<Subscriber<Followed>>();
  const begun: Position[] = [];
  const each = (act: (reader: Subscriber<Followed>) => void): void => {
    for (const reader of [...readers]) act(reader);
  };
  const log: ScriptedLog = {
    snapshots: undefined,
    byName: new Map(),
    newest: 0,
    beginning: undefined,
    begun,
    ids: [],
    wanted: [],
    other: false,
    readers,
    follow: (after, id, wanted) =>
      new Observable((reader) => {
        begun.push(after);
        log.ids.push(id);
        log.wanted.push(wanted);
        readers.add(reader);
        return () => readers.delete(reader);
      }),
    snapshot: (name) =>
      log.snapshots instanceof Error
        ? Promise.reject(log.snapshots)
        : Promise.resolve(log.byName.get(name) ?? log.snapshots),
    head: () => Promise.resolve(log.newest),
    holds: () => Promise.resolve(!log.other),
    positionBefore: () => Promise.resolve(log.beginning),
    tell: (...events) => {
      for (const event of events) {
        log.newest = event.position;
        each((reader) => {
          reader.next(event);
        });
      }
    },
    fail: (e) => {
      each((reader) => {
        reader.error(e);
      });
    },
    complete: () => {
      each((reader) => {
        reader.complete();
      });
    },
  };
  return log;
}

import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Recorded } from '../../log/event.ts';
import type { Part } from '../../log/terms.ts';

/** Events of a log are read in windows from its end: small first, since most searches want few. */
const firstWindow = 512;
const largestWindow = 8_192;

/** The events of these parts of a log, the newest first. `pace` is awaited before each is passed on. */
export async function* backwards(
  log: Pick<EventLog, 'history'>,
  parts: readonly Part[],
  pace: () => Promise<void>,
): AsyncGenerator<Recorded> {
  let size = firstWindow;
  for (const { after, upTo } of parts.toReversed())
    for (let end = upTo; end > after; size = Math.min(2 * size, largestWindow)) {
      const start = Math.max(after, end - size);
      const window: Recorded[] = [];
      for await (const event of log.history(start, end)) {
        await pace();
        window.push(event);
      }
      yield* window.reverse();
      end = start;
    }
}

/** Where events come from: the newest first, and what is found in each. */
export interface Source {
  readonly recorded: AsyncGenerator<Recorded>;
  readonly found: (recorded: Recorded) => readonly ParsedAuditEvent[];
}

/**
 * The events that reached the log last, of several sources, until `isEnough`. An event that is in more than
 * one is passed on once.
 * @param isEnough is told of each; true ends the search.
 */
export async function lastArrived(
  sources: readonly Source[],
  isEnough: (event: ParsedAuditEvent) => boolean,
): Promise<void> {
  const known = new Set<string>();
  const heads: (Recorded | undefined)[] = [];
  const advance = async (i: number): Promise<void> => {
    const next = await sources[i]?.recorded.next();
    heads[i] = next?.done === true ? undefined : next?.value;
  };
  try {
    for (const i of sources.keys()) await advance(i);
    for (;;) {
      const at = newestOf(heads);
      const recorded = heads[at];
      if (recorded === undefined) return;
      for (const event of [...(sources[at]?.found(recorded) ?? [])].reverse()) {
        if (known.has(event.uid)) continue;
        known.add(event.uid);
        if (isEnough(event)) return;
      }
      await advance(at);
    }
  } finally {
    for (const { recorded } of sources) await recorded.return(undefined);
  }
}

/** By the time of the log, which never goes back within one. -1: all have ended. */
const newestOf = (heads: readonly (Recorded | undefined)[]): number =>
  heads.reduce((best, head, i) => {
    if (head === undefined) return best;
    const before = heads[best];
    return before === undefined || head.cause.at > before.cause.at ? i : best;
  }, -1);

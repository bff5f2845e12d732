import { setImmediate as turn } from 'node:timers/promises';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import type { Entry } from '../../domain/replayed-entry.ts';
import { plusMs } from '../../base/time.ts';
import type { Position } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';
import { pastAfter, type PastStates } from '../past/past-states.ts';

/** How many events of `state` one page passes at most. */
const longestWalk = 100_000;
/** How many of them are passed between two turns of the event loop. */
const eventsOfTurn = 500;

export interface Found {
  readonly entry: Entry;
  /** Of its event in the audit. */
  readonly position: Position;
}

/**
 * What was true at the time of each of these, in the order of their times. Where they are so far apart that
 * it would take too long, only the first of them: then `next` is where those end.
 */
export async function statesAt(
  deps: Pick<AuthDeps, 'log' | 'past'>,
  call: Call,
  found: readonly Found[],
): Promise<{
  readonly steps: AsyncIterable<{ readonly found: Found; readonly states: PastStates }>;
  readonly next: Position | undefined;
}> {
  let taken = found;
  for (;;) {
    const inTime = taken.toSorted((a, b) => (a.entry.time < b.entry.time ? -1 : 1));
    const [first, last] = [inTime[0], inTime.at(-1)];
    const next = taken.length < found.length ? taken.at(-1)?.position : undefined;
    if (first === undefined || last === undefined) return { steps: walk(deps, call, [], 0), next };
    const begin = await positionThen(deps, first);
    const end = await positionThen(deps, last);
    if (end - begin <= longestWalk || taken.length === 1)
      return { steps: walk(deps, call, inTime, begin), next };
    taken = taken.slice(0, Math.ceil(taken.length / 2));
  }
}

const positionThen = ({ log }: Pick<AuthDeps, 'log'>, { entry }: Found): Promise<Position> =>
  log.state.positionBefore(plusMs(entry.time, 1));

async function* walk(
  { log, past }: Pick<AuthDeps, 'log' | 'past'>,
  { deadline }: Call,
  inTime: readonly Found[],
  begin: Position,
): AsyncGenerator<{ readonly found: Found; readonly states: PastStates }> {
  let states = await past.at(begin, deadline);
  let at = 0;
  for await (const event of log.state.history(begin)) {
    if (at >= inTime.length) return;
    for (
      let found = inTime[at];
      found !== undefined && found.entry.time < event.cause.at;
      found = inTime[++at]
    )
      yield { found, states };
    states = pastAfter(states, event);
    if (event.position % eventsOfTurn !== 0) continue;
    await turn();
    if (deadline.isOver())
      throw new CodedError(
        'unavailable',
        'too much changed between these sessions: ask about a shorter time',
      );
  }
  for (const found of inTime.slice(at)) yield { found, states };
}

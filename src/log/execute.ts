import { backoffMs, pause } from '../base/backoff.ts';
import { type Deadline, noDeadline } from '../base/deadline.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import type { Decider } from './decider.ts';
import type { EventLog } from './event-log.ts';
import type { Cause, Fact, Position, Recorded, Revision, StreamName } from './event.ts';
import { FoldCache, type FoldedStream } from './fold-cache.ts';
import { lockOf } from './keyed-lock.ts';
import { startingPoint } from './starting-points.ts';

/** The result of a command. */
export interface Outcome<S, F extends Fact> {
  readonly facts: readonly F[];
  /** The state of the stream after these facts. */
  readonly state: S;
}

export interface Executed<S, F extends Fact> extends Outcome<S, F> {
  /** Undefined when nothing changed. */
  readonly position: Position | undefined;
}

/** One command to one stream, as part of a transaction. Made by `step` or `guard`. */
export interface Step<S, F extends Fact> {
  readonly stream: StreamName;
  /** Whether others may decide by this stream meanwhile. */
  readonly shared: boolean;
  /** By the state of the stream at `asOf`, or later. */
  decide(log: EventLog, asOf: Position): Promise<Decided<S, F>>;
}

interface Decided<S, F extends Fact> extends Outcome<S, F> {
  readonly expected: Revision;
}

/** The conditions of an operation that executes commands. */
export interface Terms {
  /**
   * The log's head when the operation read it. Decisions use what is known here since then, without reading
   * the store again: a decision from older knowledge is never stored, as the append compares revisions.
   * Default: it reads the store.
   */
  readonly asOf?: Position;
  /** Checked right before each append. Default: none. */
  readonly deadline?: Deadline;
  /**
   * Decides by more streams than those of the steps, by views that have reached this position. What it
   * decides holds when the append is stored: that is refused where anything was appended since, and
   * everything is decided again. For what is done rarely: on a log that never rests it may end with
   * `conflict`.
   */
  readonly byWhole?: (asOf: Position) => Promise<void>;
}

/**
 * How many times other processes may be first before the caller gets the conflict. Inside a process a stream
 * has one writer at a time.
 */
const maxAttempts = 12;
const retry = { baseMs: 2, maxMs: 100 };

const caches = new WeakMap<EventLog, FoldCache>();

/**
 * Load, decide, append; again from the start when another writer was first.
 * @throws CodedError the refusal of `decide`; `unavailable` when the stream contains a fact that this version
 *   does not know; `conflict` when others were always faster; errors of `append`.
 */
export async function execute<S, C, F extends Fact>(
  log: EventLog,
  decider: Decider<S, C, F>,
  stream: StreamName,
  command: C,
  cause: Cause,
): Promise<Executed<S, F>> {
  const { position, outcomes } = await transact(log, [step(decider, stream, command)] as const, cause);
  return { ...outcomes[0], position };
}

/** A part of a transaction. */
export const step = <S, C, F extends Fact>(
  decider: Decider<S, C, F>,
  stream: StreamName,
  command: C,
): Step<S, F> => ({
  stream,
  shared: false,
  decide: async (log, asOf) => {
    const before = await load(log, decider, stream, asOf);
    const facts = decider.decide(before.state, command);
    const state = facts.reduce((at, fact) => decider.evolve(at, fact), before.state);
    return { expected: before.revision, facts, state };
  },
});

/**
 * A part of a transaction that nothing follows from: it only lets the append fail when the decision is not
 * true any more. Any number of transactions guard a stream side by side.
 * @throws CodedError `conflict`, out of the transaction, where something follows from it after all: then the
 *   stream is not what the caller took it for.
 */
export const guard = <S, C, F extends Fact>(
  decider: Decider<S, C, F>,
  stream: StreamName,
  command: C,
): Step<S, F> => {
  const part = step(decider, stream, command);
  return {
    stream,
    shared: true,
    decide: async (log, asOf) => {
      const decided = await part.decide(log, asOf);
      if (decided.facts.length === 0) return decided;
      throw new CodedError('conflict', `${stream} has become another since it was read: try again`);
    },
  };
};

type Outcomes<T extends readonly unknown[]> = {
  readonly [K in keyof T]: T[K] extends Step<infer S, infer F> ? Outcome<S, F> : never;
};

interface Done<T extends readonly unknown[]> {
  readonly position: Position | undefined;
  readonly outcomes: Outcomes<T>;
}

/**
 * Several commands to several streams of one partition in one append: all or none. A step that changes
 * nothing still guards: the append fails when its stream has changed, so that all decisions were true at the
 * same time. A stream may appear once.
 */
export async function transact<const T extends readonly AnyStep[]>(
  log: EventLog,
  steps: T,
  cause: Cause,
  { asOf, deadline = noDeadline, byWhole }: Terms = {},
): Promise<Done<T>> {
  const list: readonly AnyStep[] = steps;
  const streams = list.map((one) => one.stream);
  if (new Set(streams).size !== streams.length)
    throw new Error('bug: a stream appears twice in a transaction');
  const held = (shared: boolean): StreamName[] =>
    list.filter((one) => one.shared === shared).map(({ stream }) => stream);
  const act = async (): Promise<Done<T>> => {
    for (let attempt = 1; ; attempt++) {
      const from = attempt === 1 && asOf !== undefined ? asOf : await log.head();
      await byWhole?.(from);
      const decided = await Promise.all(list.map((one) => one.decide(log, from)));
      const outcomes = decided.map(({ facts, state }) => ({
        facts,
        state: state as unknown,
      })) as unknown as Outcomes<T>;
      if (decided.every((one) => one.facts.length === 0)) return { position: undefined, outcomes };
      try {
        const writes = decided.map(({ expected, facts }, i) => ({
          stream: streams[i] ?? ('' as StreamName),
          expected,
          facts,
        }));
        return {
          position: await log.append(writes, cause, { deadline, ...(byWhole && { head: from }) }),
          outcomes,
        };
      } catch (e) {
        if (!isCoded(e, 'conflict') || attempt === maxAttempts) throw e;
        await pause(backoffMs(attempt, retry.baseMs, retry.maxMs, 1));
      }
    }
  };
  return lockOf(log).hold(held(false), act, held(true));
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- steps of different states and facts in one list
type AnyStep = Step<any, any>;

/**
 * The state of a stream as of the newest commit, or of `asOf`; folds only events since the last time, or
 * since what others have folded (`starting-points.ts`).
 */
export async function load<S, F extends Fact>(
  log: EventLog,
  decider: Decider<S, never, F>,
  stream: StreamName,
  asOf?: Position,
): Promise<{ state: S; revision: Revision }> {
  const cache = cacheOf(log);
  let { state, revision } = newer(cache.get(decider, stream), startingPoint(log)?.(decider, stream)) ?? {
    state: decider.initial,
    revision: 0,
  };
  for await (const event of log.read(stream, revision, asOf)) {
    state = decider.evolve(state, known(decider, event));
    revision = event.revision;
  }
  cache.set(decider, stream, { state, revision });
  return { state, revision };
}

const newer = <S>(
  a: FoldedStream<S> | undefined,
  b: FoldedStream<S> | undefined,
): FoldedStream<S> | undefined => (b === undefined || (a !== undefined && a.revision >= b.revision) ? a : b);

/** A writer that cannot read its whole stream is older than the log, and must not decide. */
function known<F extends Fact>(decider: Pick<Decider<never, never, F>, 'fact'>, event: Recorded): F {
  try {
    return decider.fact.parse(event.fact);
  } catch (cause) {
    throw new CodedError(
      'unavailable',
      `${event.stream} holds a fact this version does not know: ${event.fact.type}`,
      { cause },
    );
  }
}

function cacheOf(log: EventLog): FoldCache {
  const cache = caches.get(log) ?? new FoldCache(1024);
  caches.set(log, cache);
  return cache;
}

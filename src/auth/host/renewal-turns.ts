import { pause } from '../../base/backoff.ts';
import type { Deadline } from '../../base/deadline.ts';
import { CodedError } from '../../base/errors.ts';
import { second } from '../../base/time.ts';
import type { Position } from '../../log/event.ts';

/** Renewals of certificates, which a rotation makes all machines ask for. */
export interface RenewalTurns {
  /**
   * Runs `renew` when its turn comes, with the head of the log as it was when its turn began.
   * @throws CodedError `limit_exceeded` when too many wait; `unavailable` when nobody waits for it any more
   */
  run<T>(deadline: Deadline, renew: (asOf: Position) => Promise<T>): Promise<T>;
}

export interface RenewalTurnsDeps {
  /** Reads what a renewal decides by, once for all of a turn. */
  readonly look: () => Promise<Position>;
  /** Resolves when nobody logs in, or after so many milliseconds. */
  readonly calm: (mostMs: number) => Promise<void>;
  readonly monotonic: () => number;
  /** Default: real. */
  readonly rest?: (ms: number) => Promise<void>;
}

/**
 * So many at once: they share a look at the store and an append, and what they cost others is in proportion.
 * Each machine then comes back over new connections, which cost as much again: more would hold up whoever
 * logs in.
 */
const together = 4;
const mostWaiting = 100;
/** People who log in go first, but where somebody always does, machines have their turn, too. */
const longestYieldMs = second / 2;
const againMs = 5 * second;

interface Waiting {
  readonly deadline: Deadline;
  readonly begin: (asOf: Position) => Promise<unknown>;
  readonly refuse: (reason: unknown) => void;
}

/**
 * A few renewals at once, between them at least as much time as they took, and none while people log in: a
 * rotation takes half of a server's time at most.
 */
export function renewalTurns(deps: RenewalTurnsDeps): RenewalTurns {
  const { look, calm, monotonic, rest = pause } = deps;
  const waiting: Waiting[] = [];
  let isRunning = false;

  const turn = async (): Promise<void> => {
    await calm(longestYieldMs);
    const began = monotonic();
    const group = waiting.splice(0, together).filter(({ deadline, refuse }) => {
      const isOver = deadline.isOver();
      if (isOver) refuse(overdue());
      return !isOver;
    });
    if (group.length === 0) return;
    let asOf: Position;
    try {
      asOf = await look();
    } catch (e) {
      for (const { refuse } of group) refuse(e);
      return;
    }
    await Promise.all(group.map(({ begin }) => begin(asOf)));
    // Those who come meanwhile have their turn together.
    await rest(monotonic() - began);
  };
  const turns = async (): Promise<void> => {
    isRunning = true;
    while (waiting.length > 0) await turn();
    isRunning = false;
  };

  return {
    run: <T>(deadline: Deadline, renew: (asOf: Position) => Promise<T>): Promise<T> => {
      if (waiting.length >= mostWaiting) return Promise.reject(tooMany());
      const { promise, resolve, reject } = Promise.withResolvers<T>();
      const begin = (asOf: Position): Promise<unknown> => renew(asOf).then(resolve, reject);
      waiting.push({ deadline, begin, refuse: reject });
      if (!isRunning) void turns();
      return promise;
    },
  };
}

const tooMany = (): CodedError =>
  new CodedError('limit_exceeded', 'too many machines renew their certificates at once, try again later', {
    retryAfterMs: againMs,
    outcome: 'nothing',
  });

const overdue = (): CodedError =>
  new CodedError('unavailable', 'the turn of this renewal came too late: nothing was begun', {
    outcome: 'nothing',
  });

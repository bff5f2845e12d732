import type { Duplex } from 'node:stream';
import { CodedError, isCoded, messageOf } from './errors.ts';
import { startTimer, stopTimer } from './timers.ts';

/** One way to a stream. */
export interface Way {
  /** For messages: `proxy <id>`. */
  readonly name: string;
  /** @throws CodedError; it ends soon after `signal` is aborted. */
  open(signal: AbortSignal): Promise<Duplex>;
  /** Before the next is tried beside it; default: as all of them. */
  readonly headStartMs?: number;
  /** Whether this refusal is the answer, which no other way would change. Default: none is. */
  readonly isAnswer?: (refusal: CodedError) => boolean;
}

/**
 * The first of these ways that leads to a stream. They are tried in order: the next when one has failed, or
 * beside it when it has taken longer than its head start.
 * @throws CodedError `unavailable` with why each failed; or the refusal that is the answer, as it is.
 */
export function firstOf(ways: readonly Way[], outer: AbortSignal, headStartMs: number): Promise<Duplex> {
  const done = new AbortController();
  const signal = AbortSignal.any([outer, done.signal]);
  const failures: string[] = [];
  let started = 0;
  let settled = false;
  return new Promise((resolve, reject) => {
    const give = (act: () => void): void => {
      settled = true;
      act();
      done.abort();
    };
    const fail = (way: Way, e: unknown): void => {
      failures.push(`${way.name}: ${messageOf(e)}`);
      if (settled) return;
      if (!isCoded(e))
        give(() => {
          reject(e instanceof Error ? e : new Error(messageOf(e)));
        });
      else if (way.isAnswer?.(e) === true)
        give(() => {
          reject(e);
        });
      else if (failures.length < ways.length) startNext();
      else
        give(() => {
          reject(new CodedError('unavailable', failures.join('; '), { cause: e }));
        });
    };
    const startNext = (): void => {
      const way = ways[started];
      if (settled || way === undefined) return;
      started++;
      const impatient = startTimer(startNext, way.headStartMs ?? headStartMs);
      way.open(signal).then(
        (stream) => {
          stopTimer(impatient);
          if (settled) stream.destroy();
          else
            give(() => {
              resolve(stream);
            });
        },
        (e: unknown) => {
          stopTimer(impatient);
          fail(way, e);
        },
      );
    };
    if (ways.length === 0) reject(new CodedError('unavailable', 'there is no way'));
    else startNext();
  });
}

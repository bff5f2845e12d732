import type { Duplex } from 'node:stream';
import { second } from './duration.ts';
import { readOnAfterFailedWrites } from './failed-writes.ts';
import { startTimer, stopTimer, type Timer } from './timers.ts';

/** What ends the joined streams from outside. Default: nothing. */
export interface JoinLimits {
  /** The client has left: complete data may still be read for `lingerMs`; then both are destroyed. */
  readonly left?: AbortSignal;
  /** Both are destroyed at once, with what they hold. */
  readonly stop?: AbortSignal;
  /** Default 30 s. */
  readonly lingerMs?: number;
}

/**
 * Carries bytes both ways between two streams that may be half open, each pushing back on the other. What
 * either party sees is what it sees of OpenSSH's forwarding:
 * - the end of one direction ends only that one;
 * - what a side has said is delivered, also when it takes nothing any more;
 * - a side that is gone (closed, reset, cut) takes the other with it, once that one has taken what was read
 *   for it: it is not sent to without end, and nothing of it stays open. Of a side that was cut, what came is
 *   not followed by an end.
 *
 * Resolves when both are closed. Takes over their errors.
 */
export async function joinStreams(a: Duplex, b: Duplex, limits: JoinLimits = {}): Promise<void> {
  const both = Promise.all([closed(a, b), closed(b, a)]);
  const release = watch([a, b], limits);
  for (const one of [a, b]) readOnAfterFailedWrites(one);
  a.pipe(b);
  b.pipe(a);
  await both;
  release();
}

function closed(one: Duplex, other: Duplex): Promise<void> {
  one.on('error', () => one.destroy()); // `close` follows, by which the other side learns of it
  return new Promise((resolve) => {
    const gone = (): void => {
      letGo(other);
      resolve();
    };
    if (one.closed) gone();
    else one.once('close', gone);
  });
}

/** Nobody reads further data from `stream`; it closes once it has accepted what was written to it. */
function letGo(stream: Duplex): void {
  const close = (): void => void stream.destroy();
  if (stream.destroyed || stream.writableFinished) close();
  else if (stream.writableEnded) stream.once('finish', close);
  else if (stream.writableLength === 0) close();
  else stream.write(Buffer.alloc(0), close); // called when everything before is accepted; a cut stream gets no end
  stream.resume();
}

/** Returns a function that stops watching. */
function watch(streams: readonly Duplex[], { left, stop, lingerMs = 30 * second }: JoinLimits): () => void {
  let limit: Timer | undefined;
  const destroy = (): void => {
    for (const stream of streams) stream.destroy();
  };
  const linger = (): void => {
    limit = startTimer(destroy, lingerMs);
  };
  const release = [whenAborted(left, linger), whenAborted(stop, destroy)];
  return () => {
    stopTimer(limit);
    for (const one of release) one();
  };
}

/** Calls `act`, at once if it has been aborted already. Returns a function that stops waiting. */
function whenAborted(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal === undefined) return () => undefined;
  if (signal.aborted) act();
  else signal.addEventListener('abort', act);
  return () => {
    signal.removeEventListener('abort', act);
  };
}

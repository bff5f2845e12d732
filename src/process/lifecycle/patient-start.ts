import { CodedError, isCoded } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Running, Service } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { startTimer } from '../../base/timers.ts';
import { UnfinishedCopy } from '../../log/copy-mark.ts';
import { StoreWentBack } from '../../log/slot-driver.ts';

export interface PatientStart {
  readonly withinMs: number;
  /** Milliseconds, never going back. */
  readonly clock: () => number;
  readonly pause: (ms: number, signal?: AbortSignal) => Promise<void>;
  readonly sink: LogSink;
  /** What it waits for; undefined: nothing any more. */
  readonly waitsFor: (text: string | undefined) => void;
}

const everyMs = 500;
/** A start that takes longer reads a long log: whoever waits for it is told, and gives it more time. */
const longMs = 5 * second;

/**
 * A service whose store may be away while it starts: its whole start is retried until it serves, for as long
 * as `withinMs`. An error that waiting cannot fix ends it at once.
 * @param make is called with the time that is left.
 */
export function startedPatiently(
  name: string,
  make: (leftMs: number) => Service,
  { withinMs, clock, pause, sink, waitsFor }: PatientStart,
): Service {
  return {
    name,
    start: async (stopping = new AbortController().signal) => {
      const end = clock() + withinMs;
      let told = '';
      try {
        for (;;) {
          const left = Math.max(0, Math.ceil(end - clock()));
          try {
            return await tellingOfLength(() => make(left).start(stopping), waitsFor);
          } catch (e) {
            if (stopping.aborted || !isWorthWaiting(e)) throw e;
            if (clock() >= end) throw triedFor(e, withinMs);
            if (e.message !== told) sink.warn(`${name} cannot start yet: ${e.message}. Retrying`);
            told = e.message;
            waitsFor(told);
            await pause(Math.min(everyMs, Math.max(0, end - clock())), stopping);
          }
        }
      } finally {
        waitsFor(undefined);
      }
    },
  };
}

async function tellingOfLength(
  start: () => Promise<Running>,
  waitsFor: PatientStart['waitsFor'],
): Promise<Running> {
  const timer = startTimer(() => {
    waitsFor('its log is long, and is being read');
  }, longMs).unref();
  try {
    return await start();
  } finally {
    timer.stop();
  }
}

const isWorthWaiting = (e: unknown): e is CodedError =>
  (isCoded(e, 'unavailable') || isCoded(e, 'ambiguous')) &&
  !(e instanceof UnfinishedCopy) &&
  !(e instanceof StoreWentBack);

/** The store's own error may name the time of its last attempt: what counts is the whole time. */
const triedFor = (e: CodedError, withinMs: number): CodedError => {
  const reason = e.message.replace(/ \(tried (?:for|\d+ times within) [\d.]+ s\)$/, '');
  return new CodedError('unavailable', `${reason} (tried for ${withinMs / 1000} s)`, { cause: e });
};

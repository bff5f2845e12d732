import type { LogSink } from '../../base/log-sink.ts';
import { minute, second } from '../../base/time.ts';
import { startTicker } from '../../base/timers.ts';
import { type Health, healthLine } from './health.ts';

export interface TellHealth {
  readonly health: () => Health;
  readonly sink: Pick<LogSink, 'info' | 'warn'>;
  /** For the service manager. */
  readonly status: (text: string) => void;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
}

const lookEveryMs = second;
/** A reason that contains a number has a different text at each look. */
const sameStatusEveryMs = minute;

/**
 * Reports in the log and to the service manager when this process serves with something missing, or not at
 * all. At the call it must be serving. A change of reasons is reported as well, at most once a minute; a
 * number that grows is not a change.
 */
export function tellHealth({ health, sink, status, monotonic }: TellHealth): { readonly close: () => void } {
  let told = { status: 'ok', text: 'serving', kind: 'serving', at: monotonic() };
  const look = (): void => {
    const now = health();
    const text = healthLine(now);
    if (text === told.text) return;
    const changed = now.status !== told.status;
    if (!changed && monotonic() - told.at < sameStatusEveryMs) return;
    const kind = text.replace(/\d+/g, '#');
    const others = kind !== told.kind;
    told = { status: now.status, text, kind, at: monotonic() };
    status(text);
    if (!changed && !others) return;
    if (now.status === 'ok') sink.info('this process serves without restrictions again');
    else sink.warn(`this process is ${text}`);
  };
  const timer = startTicker(look, lookEveryMs);
  timer.unref();
  return {
    close: () => {
      timer.stop();
    },
  };
}

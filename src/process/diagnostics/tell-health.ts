import type { LogSink } from '../../base/log-sink.ts';
import { minute, second } from '../../base/time.ts';
import { startTicker } from '../../base/timers.ts';
import { type Health, healthLine } from './health.ts';

export interface TellHealth {
  readonly health: () => Health;
  readonly sink: Pick<LogSink, 'info' | 'warn'>;
  /** For the service manager. */
  readonly status: (text: string) => void;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

const lookEveryMs = second;
/** A reason with a number in it is another text at each look. */
const sameStatusEveryMs = minute;

/**
 * Says in the log and to the service manager when this process serves with less than all, or not at all. It
 * did at the call. Other reasons than before are told as well, but at most once a minute; a number in them
 * that grows is no other reason.
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

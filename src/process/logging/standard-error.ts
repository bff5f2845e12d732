import type { LogSink } from '../../base/log-sink.ts';
import { printableLine } from '../../base/printable.ts';

/** If the log goes to a file, or contains errors only, the warning is written to standard error as well. */
export function warnOnStandardError(
  text: string,
  sink: LogSink,
  log: { readonly output: string; readonly severity: string },
): void {
  sink.warn(text);
  const seen = ['stderr', 'error', '2'].includes(log.output) && !['err', 'error'].includes(log.severity);
  if (!seen) process.stderr.write(`WARN: ${printableLine(text)}\n`);
}

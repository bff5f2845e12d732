import { pause } from '../base/backoff.ts';
import { cleanedText } from '../base/clean-text.ts';
import { emptyRecord } from '../base/foreign-record.ts';
import { second } from '../base/duration.ts';
import { messageOf } from '../base/errors.ts';
import { labelLimits } from '../domain/label-limits.ts';
import type { ProgramEnd } from '../machine/exit-status.ts';
import type { ProgramStarter } from '../machine/program-starter.ts';
import { runProgram } from '../machine/run-program.ts';

/** A label whose value is what a command prints. */
export interface CommandLabel {
  readonly name: string;
  readonly command: readonly string[];
  /** At least 1. */
  readonly periodSeconds: number;
}

const longestRunMs = 10 * second;

/** The output of a program as one line that every terminal shows as it is, cut to this many bytes. */
export function valueOf(text: string, maxBytes: number): string {
  const line = cleanedText(text);
  const buffer = Buffer.from(line.slice(0, maxBytes), 'utf8');
  // A character that does not fit completely is dropped.
  const fitting =
    buffer.length <= maxBytes
      ? buffer.toString('utf8')
      : new TextDecoder().decode(buffer.subarray(0, maxBytes), { stream: true });
  return cleanedText(fitting);
}

/** More than any value, which is cut; a program that prints more is ended. */
const mostPrinted = 1024 * 1024;

/** Runs the command once, without a shell. A failure is returned in place of the value. Never rejects. */
export async function runLabelCommand(
  command: readonly string[],
  starter: ProgramStarter,
  timeoutMs: number,
  maxBytes: number = labelLimits.value,
  stopping = new AbortController().signal,
): Promise<string> {
  const environment = [
    ['PATH', process.env['PATH'] ?? '/usr/bin:/bin'],
    ['LANG', 'C.UTF-8'],
  ] as const;
  try {
    const limits = { limitMs: timeoutMs, maxBytes: mostPrinted, signal: stopping };
    const ran = await runProgram(starter, command, { environment, ...limits, of: starter });
    switch (ran.status) {
      case 'ended':
        return valueOf(failureOf(command, ran) ?? ran.stdout, maxBytes);
      case 'too long':
        return `the command took longer than ${timeoutMs / 1000} s`;
      case 'stopped':
        return 'the command was stopped';
      case 'too much':
        return `the command printed more than ${mostPrinted} bytes`;
    }
  } catch (e) {
    return valueOf(messageOf(e), maxBytes); // no such program, or an argument that no program can be given
  }
}

function failureOf(
  command: readonly string[],
  { end, stderr }: { end: ProgramEnd; stderr: string },
): string | undefined {
  if (end.status === 'exited' && end.code === 0) return undefined;
  return `Command failed: ${command.join(' ')}\n${stderr}`;
}

export interface LabelRunner {
  /** Values as of the last run. */
  values(): Readonly<Record<string, string>>;
  /** Ends what runs. */
  stop(): Promise<void>;
}

/**
 * Runs each command now, and again `periodSeconds` after it ended. Resolves when every one has run once, so
 * that roles never decide by labels that are not there yet. `changed` is called when a value has changed.
 * Values are cut to `maxBytes`.
 */
export async function openCommandLabels(
  labels: readonly CommandLabel[],
  changed: () => void,
  starter: ProgramStarter,
  maxBytes: number = labelLimits.value,
): Promise<LabelRunner> {
  const stopping = new AbortController();
  const values = emptyRecord<string>();
  const runOnce = async ({ name, command, periodSeconds }: CommandLabel): Promise<boolean> => {
    const before = values[name];
    const timeoutMs = Math.min(longestRunMs, Math.max(1, periodSeconds) * second);
    const value = await runLabelCommand(command, starter, timeoutMs, maxBytes, stopping.signal);
    if (stopping.signal.aborted) return false;
    values[name] = value;
    return value !== before;
  };
  await Promise.all(labels.map(runOnce));
  const loops = labels.map(async (label) => {
    for (;;) {
      await pause(Math.max(1, label.periodSeconds) * second, stopping.signal);
      if (stopping.signal.aborted) return;
      if (await runOnce(label)) changed();
    }
  });
  return {
    values: () => values,
    stop: async () => {
      stopping.abort();
      await Promise.all(loops);
    },
  };
}

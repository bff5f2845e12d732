import { execFile } from 'node:child_process';
import { pause } from '../base/backoff.ts';
import { cleanedText } from '../base/clean-text.ts';
import { emptyRecord } from '../base/foreign-record.ts';
import { second } from '../base/duration.ts';
import { labelLimits } from '../domain/label-limits.ts';

/** A label whose value is what a command prints. */
export interface CommandLabel {
  readonly name: string;
  readonly command: readonly string[];
  /** At least 1. */
  readonly periodSeconds: number;
}

const longestRunMs = 10 * second;

/** What a program printed, as one line of at most so many bytes that every terminal shows as it is. */
export function valueOf(text: string, maxBytes: number): string {
  const line = cleanedText(text);
  const buffer = Buffer.from(line.slice(0, maxBytes), 'utf8');
  // A character that does not fit whole is left away.
  const fitting =
    buffer.length <= maxBytes
      ? buffer.toString('utf8')
      : new TextDecoder().decode(buffer.subarray(0, maxBytes), { stream: true });
  return cleanedText(fitting);
}

/** Runs the command once, without a shell. A failure is told in place of the value. Never rejects. */
export function runLabelCommand(
  command: readonly string[],
  timeoutMs: number,
  maxBytes: number = labelLimits.value,
): Promise<string> {
  const [path = '', ...args] = command;
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };
  return new Promise((resolve) => {
    try {
      execFile(path, args, { timeout: timeoutMs, killSignal: 'SIGKILL', env }, (e, stdout) => {
        if (e === null) resolve(valueOf(stdout, maxBytes));
        else if (e.killed === true) resolve(`the command took longer than ${timeoutMs / 1000} s`);
        else resolve(valueOf(e.message, maxBytes));
      });
    } catch (e) {
      resolve(valueOf(e instanceof Error ? e.message : String(e), maxBytes)); // an argument no program can be given
    }
  });
}

export interface LabelRunner {
  /** Values as of the last run. */
  values(): Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/**
 * Runs each command now and then every `periodSeconds` after it ended. Resolves when every one has run once, so that roles
 * never decide by labels that are not there yet. `changed` is called when a value is another one. Values are cut to `maxBytes`.
 */
export async function openCommandLabels(
  labels: readonly CommandLabel[],
  changed: () => void,
  maxBytes: number = labelLimits.value,
): Promise<LabelRunner> {
  const stopping = new AbortController();
  const values = emptyRecord<string>();
  const runOnce = async ({ name, command, periodSeconds }: CommandLabel): Promise<boolean> => {
    const before = values[name];
    const timeoutMs = Math.min(longestRunMs, Math.max(1, periodSeconds) * second);
    const value = await runLabelCommand(command, timeoutMs, maxBytes);
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

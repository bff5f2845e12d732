import { execFile } from 'node:child_process';
import { pause } from '../base/backoff.ts';
import { cleanedText } from '../base/clean-text.ts';
import { emptyRecord } from '../base/foreign-record.ts';
import { longestLabelValue } from '../domain/host-text.ts';
import { second } from '../base/duration.ts';

/** A label whose value is what a command prints. */
export interface CommandLabel {
  readonly name: string;
  readonly command: readonly string[];
  /** At least 1. */
  readonly periodSeconds: number;
}

const longestRunMs = 10 * second;

/** What a program printed, as one line that every terminal shows as it is. */
const valueOf = (text: string): string => cleanedText(cleanedText(text).slice(0, longestLabelValue));

/** Runs the command once, without a shell. A failure is told in place of the value. Never rejects. */
export function runLabelCommand(command: readonly string[], timeoutMs: number): Promise<string> {
  const [path = '', ...args] = command;
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };
  return new Promise((resolve) => {
    try {
      execFile(path, args, { timeout: timeoutMs, killSignal: 'SIGKILL', env }, (e, stdout) => {
        if (e === null) resolve(valueOf(stdout));
        else if (e.killed === true) resolve(`the command took longer than ${timeoutMs / 1000} s`);
        else resolve(valueOf(e.message));
      });
    } catch (e) {
      resolve(valueOf(e instanceof Error ? e.message : String(e))); // an argument no program can be given
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
 * never decide by labels that are not there yet. `changed` is called when a value is another one.
 */
export async function openCommandLabels(
  labels: readonly CommandLabel[],
  changed: () => void,
): Promise<LabelRunner> {
  const stopping = new AbortController();
  const values = emptyRecord<string>();
  const runOnce = async ({ name, command, periodSeconds }: CommandLabel): Promise<boolean> => {
    const before = values[name];
    const value = await runLabelCommand(command, Math.min(longestRunMs, Math.max(1, periodSeconds) * second));
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

import { constants } from 'node:os';

/**
 * Signals that ask a program to end, to stop or to act; for no others does it matter whether they are
 * ignored.
 */
const heeded = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGTSTP', 'SIGUSR1', 'SIGUSR2'] as const;
type Heeded = (typeof heeded)[number];

/**
 * Set by the launchers: the mask SigIgn of proc(5), in hexadecimal, as it was before the runtime reset it.
 */
const variable = 'TELEPORT_IGNORED_SIGNALS';

let ignored: ReadonlySet<string> = new Set();

/**
 * Ignores the signals that were ignored when this process was started: HUP under `nohup`, INT and QUIT for
 * programs that a script starts with `&`. The runtime resets all of them. Removes the launcher's variable
 * from `env`.
 */
export function keepIgnoredSignals(env: Record<string, string | undefined>): void {
  const signals = signalsOf(env[variable] ?? '');
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a fixed name; children take over nothing of ours
  delete env[variable];
  ignored = new Set(signals);
  for (const signal of signals) process.on(signal, () => undefined);
}

/** Whether this signal was set to be ignored, as with ssh(1): code that handles signals asks first. */
export const isIgnored = (signal: NodeJS.Signals): boolean => ignored.has(signal);

/** The signals of a mask that matter here; none for an invalid mask. */
export function signalsOf(mask: string): readonly Heeded[] {
  if (!/^[0-9a-f]{1,16}$/i.test(mask)) return [];
  const bits = BigInt(`0x${mask}`);
  return heeded.filter((signal) => ((bits >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n);
}

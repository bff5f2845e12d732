import { constants } from 'node:os';

/**
 * Signals that ask a program to end, to stop or to act; another handling than "ignore" of the others is
 * nobody's wish.
 */
const heeded = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGTSTP', 'SIGUSR1', 'SIGUSR2'] as const;
type Heeded = (typeof heeded)[number];

/** By the launchers: the mask SigIgn of proc(5), in hexadecimal, as it was before the runtime reset it. */
const variable = 'TELEPORT_IGNORED_SIGNALS';

let ignored: ReadonlySet<string> = new Set();

/**
 * Ignores the signals that whoever started this process had set to be ignored: `nohup` HUP, a script INT and
 * QUIT for what it starts with `&`. The runtime resets all of them. Takes the variable of the launcher out of
 * `env`.
 */
export function keepIgnoredSignals(env: Record<string, string | undefined>): void {
  const signals = signalsOf(env[variable] ?? '');
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a fixed name; children take over nothing of ours
  delete env[variable];
  ignored = new Set(signals);
  for (const signal of signals) process.on(signal, () => undefined);
}

/**
 * Whether nobody wants this signal to end or change anything, as ssh(1) has it: whoever handles signals asks
 * first.
 */
export const isIgnored = (signal: NodeJS.Signals): boolean => ignored.has(signal);

/** The signals of a mask that we heed; none for what is not a mask. */
export function signalsOf(mask: string): readonly Heeded[] {
  if (!/^[0-9a-f]{1,16}$/i.test(mask)) return [];
  const bits = BigInt(`0x${mask}`);
  return heeded.filter((signal) => ((bits >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n);
}

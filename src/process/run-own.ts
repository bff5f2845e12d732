import { messageOf } from '../base/errors.ts';
import { type ProgramRun, runProgram } from '../machine/run-program.ts';
import { ownStarter } from './own-starter.ts';

/** Plenty: the output of these programs is an error message. */
const maxBytes = 64 * 1024;

export interface OwnRun {
  readonly env: NodeJS.ProcessEnv;
  readonly limitMs: number;
  /** Its standard input. */
  readonly input?: string;
}

export interface OwnOutcome {
  /** Why it failed; undefined when it succeeded. */
  readonly failure: string | undefined;
  /** Its output on stderr. */
  readonly complaint: string;
}

/**
 * Runs a small system program for this process itself, found in our PATH, without forking a daemon of
 * hundreds of MiB. Never rejects.
 */
export async function runOwn(argv: readonly string[], { env, limitMs, input }: OwnRun): Promise<OwnOutcome> {
  const starter = await ownStarter();
  const environment = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  try {
    const options = { environment, limitMs, maxBytes, of: starter };
    const ran = await runProgram(starter, argv, input === undefined ? options : { ...options, input });
    const complaint = ran.status === 'ended' ? ran.stderr.trim() : '';
    return { failure: failureOf(argv[0] ?? '', ran), complaint };
  } catch (e) {
    return { failure: messageOf(e), complaint: '' };
  }
}

function failureOf(name: string, ran: ProgramRun): string | undefined {
  if (ran.status === 'too long') return `${name} took too long and was ended`;
  if (ran.status === 'too much') return `${name} printed too much and was ended`;
  if (ran.status === 'stopped') return `${name} was stopped`;
  const { end } = ran;
  if (end.status === 'exited') return end.code === 0 ? undefined : `${name} failed with status ${end.code}`;
  return end.status === 'killed' ? `${name} was killed by signal ${end.signal}` : `${name} is lost`;
}

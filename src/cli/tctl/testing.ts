import { parseArgs, type Invocation } from '../args.ts';
import { tctlProgram } from './program.ts';

/** What a command line of tctl asks for. */
export function tctlInvocation(...argv: readonly string[]): Invocation {
  const parsed = parseArgs(tctlProgram, argv, {});
  if (parsed.kind !== 'run') throw new Error(`no command: ${argv.join(' ')}`);
  return parsed.invocation;
}

import { type Invocation, type ProgramSpec, parseArgs } from './args.ts';
import type { CliIo } from './cli-io.ts';
import { errorLines, exitStatusOf } from './errors.ts';
import { usage } from './usage.ts';

/** Does one command. Resolves to the exit status; throws to fail. */
export type Run = (invocation: Invocation, io: CliIo) => number | Promise<number>;

/** Command name → how to get its code: a dynamic import, so that a quick command loads nothing it does not need. */
export type Commands = Readonly<Record<string, () => Promise<Run>>>;

/**
 * Parses, runs, prints what went wrong. Never throws: the answer is the exit status.
 * Help goes to stdout with status 0; no command at all prints usage on stderr with status 1.
 */
export async function runCommand(
  program: ProgramSpec,
  commands: Commands,
  argv: readonly string[],
  io: CliIo,
): Promise<number> {
  let debug = (io.env['TELEPORT_DEBUG'] ?? '') !== '';
  try {
    const parsed = parseArgs(program, argv, io.env);
    if (parsed.kind === 'help') {
      io.stdout.write(usage(program, parsed.command));
      return 0;
    }
    if (parsed.kind === 'incomplete') {
      io.stderr.write(usage(program, parsed.command));
      return 1;
    }
    if (program.flags.some((flag) => flag.name === 'debug')) debug ||= parsed.invocation.on('debug');
    const load = commands[parsed.invocation.command];
    if (load === undefined) throw new Error(`no code for command '${parsed.invocation.command}'`);
    const run = await load();
    return await run(parsed.invocation, io);
  } catch (e) {
    io.stderr.write(errorLines(e, debug));
    return exitStatusOf(e);
  }
}

/** What a shell shows for a program that a closed pipe ended. */
const brokenPipeStatus = 141;

/**
 * Runs a `main` as this process: its answer becomes the exit status, a reader that went away (`tsh ls | head -1`)
 * ends it without a word, and what was written is flushed before the end.
 */
export async function runAsProcess(main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (e: NodeJS.ErrnoException) => {
      process.exit(e.code === 'EPIPE' ? brokenPipeStatus : 1);
    });
  // Our own dialler says what is checked; clients of others, such as an SDK's for credentials, ask the environment. The
  // launchers drop it, too, and say so.
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  const status = await main(process.argv.slice(2));
  await new Promise<void>((resolve) => {
    process.stdout.write('', () => {
      process.stderr.write('', () => {
        resolve();
      });
    });
  });
  process.exit(status);
}

import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { endProcess, rememberDescriptors } from '../base/end-process.ts';
import { messageOf } from '../base/errors.ts';
import { type Invocation, type ProgramSpec, parseArgs, switchedOn } from './args.ts';
import type { CliIo } from './cli-io.ts';
import { errorLines, exitStatusOf } from './errors.ts';
import { keepIgnoredSignals } from './ignored-signals.ts';
import { wasInterrupted } from './interruption.ts';
import { usage } from './usage.ts';

/** Does one command. Resolves to the exit status; throws to fail. */
export type Run = (invocation: Invocation, io: CliIo) => number | Promise<number>;

/**
 * Command name → how to get its code: a dynamic import, so that a quick command loads nothing it does not
 * need.
 */
export type Commands = Readonly<Record<string, () => Promise<Run>>>;

/**
 * Parses, runs, prints what went wrong. Never throws: returns the exit status.
 * Help goes to stdout with status 0; no command at all prints usage on stderr with status 1.
 */
export async function runCommand(
  program: ProgramSpec,
  commands: Commands,
  argv: readonly string[],
  io: CliIo,
): Promise<number> {
  let debug = false;
  try {
    debug = switchedOn('TELEPORT_DEBUG', io.env);
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
 * Runs a `main` as this process: its return value becomes the exit status, and what was written is flushed
 * before the end. A reader of stdout that went away (`tsh ls | head -1`) ends it without a word; another
 * failure of stdout, such as a full disk, is reported on stderr. Whatever happens to stderr, the work goes
 * on.
 */
export async function runAsProcess(main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  rememberDescriptors();
  keepIgnoredSignals(process.env);
  process.on('SIGUSR1', () => undefined); // else the runtime opens a debugger to everybody on this machine
  const failed = failureOf(process.stdout);
  process.stderr.on('error', () => undefined);
  // Our own dialler sets what is checked; clients of others, such as an SDK's for credentials, ask the
  // environment. The launchers drop it, too, and warn about it.
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  const status = await Promise.race([failed, main(process.argv.slice(2))]);
  if (wasInterrupted()) endProcess(status);
  await nextTurn(); // a write that failed at once is told by then
  endProcess(
    await Promise.race([failed, flushed(process.stdout).then(() => status)]).finally(() =>
      flushed(process.stderr),
    ),
  );
}

/** Resolves to the exit status when the stream fails, and reports why, unless its reader just left. */
const failureOf = (stream: Writable): Promise<number> =>
  new Promise((resolve) => {
    stream.once('error', (e: NodeJS.ErrnoException) => {
      if (e.code === 'EPIPE' && stream.listenerCount('error') > 1) return; // whoever else listens deals with it
      if (e.code !== 'EPIPE')
        process.stderr.write(errorLines(new Error(`cannot write to standard output: ${messageOf(e)}`)));
      resolve(e.code === 'EPIPE' ? brokenPipeStatus : 1);
    });
    stream.on('error', () => undefined); // each write fails; the first one is told
  });

/**
 * Resolves when the stream has passed on everything, or has failed: then it never will. Nothing is written
 * where nothing waits: a reader that took everything and left is not a failure.
 */
const flushed = (stream: Writable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0) {
      resolve();
      return;
    }
    stream.write('', () => {
      resolve();
    });
  });

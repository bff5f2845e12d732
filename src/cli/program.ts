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

/** Runs one command. Resolves to the exit status; throws to fail. */
export type Run = (invocation: Invocation, io: CliIo) => number | Promise<number>;

/**
 * Command name → how to load its code: a dynamic import, so that a quick command loads nothing it does not
 * need.
 */
export type Commands = Readonly<Record<string, () => Promise<Run>>>;

/**
 * Parses, runs, prints errors. Never throws: returns the exit status. Help goes to stdout with status 0; no
 * command at all prints usage on stderr with status 1.
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

/** The status that a shell shows for a program ended by a closed pipe. */
const brokenPipeStatus = 141;

/**
 * Runs a `main` as this process: its return value becomes the exit status, and its output is flushed before
 * the end. When the reader of stdout is gone (`tsh ls | head -1`) it ends silently; another failure of
 * stdout, such as a full disk, is reported on stderr. Failures of stderr are ignored.
 */
export async function runAsProcess(main: (argv: readonly string[]) => Promise<number>): Promise<void> {
  rememberDescriptors();
  keepIgnoredSignals(process.env);
  process.on('SIGUSR1', () => undefined); // otherwise the runtime opens a debugger to everybody on this machine
  const failed = failureOf(process.stdout);
  process.stderr.on('error', () => undefined);
  // Our own dialler sets which certificates are checked; other clients, such as an SDK's for credentials, use
  // the environment. The launchers drop the variable, too, and warn about it.
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  const status = await Promise.race([failed, main(process.argv.slice(2))]);
  if (wasInterrupted()) endProcess(status);
  await nextTurn(); // a write that failed at once has been reported by then
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
      if (e.code === 'EPIPE' && stream.listenerCount('error') > 1) return; // other listeners handle it
      if (e.code !== 'EPIPE')
        process.stderr.write(errorLines(new Error(`cannot write to standard output: ${messageOf(e)}`)));
      resolve(e.code === 'EPIPE' ? brokenPipeStatus : 1);
    });
    stream.on('error', () => undefined); // each write fails; the first failure is reported
  });

/**
 * Resolves when the stream has passed on everything, or has failed, after which it never will. Does not write
 * when nothing is pending: a reader that has read everything and left is not a failure.
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

import type { Duplex } from 'node:stream';
import { startTimer } from '../base/timers.ts';
import type { ProgramEnd } from './exit-status.ts';
import type { ProgramStarter } from './program-starter.ts';
import { signalGroup, signalRemains } from './signal-group.ts';

export interface RunOptions {
  readonly environment: Iterable<readonly [name: string, value: string]>;
  /** From its start; then it is killed. */
  readonly limitMs: number;
  /** Of both outputs together; then it is killed. */
  readonly maxBytes: number;
  /** Its input; without, it gets none. */
  readonly input?: string;
  /** Aborted when nobody needs the result any more; then it is killed. Default: never. */
  readonly signal?: AbortSignal;
  /** Whose turn the start takes. */
  readonly of: object;
}

export type ProgramRun =
  | { readonly status: 'ended'; readonly end: ProgramEnd; readonly stdout: string; readonly stderr: string }
  | { readonly status: 'too long' }
  | { readonly status: 'too much' }
  | { readonly status: 'stopped' };

/**
 * Runs a small program of the system until it has ended and its output, and that of programs it started, is
 * complete.
 * @throws CodedError `unavailable` when it cannot be started.
 */
export async function runProgram(
  starter: ProgramStarter,
  argv: readonly string[],
  { environment, limitMs, maxBytes, input, signal, of }: RunOptions,
): Promise<ProgramRun> {
  const streams = [input === undefined ? 'none' : 'input', 'output', 'output'] as const;
  const program = await starter.start({ argv, environment, streams, newSession: true }, of);
  const [stdin, stdout, stderr] = program.streams;
  const stopped = Promise.withResolvers<'too long' | 'too much' | 'stopped'>();
  const limit = startTimer(() => {
    stopped.resolve('too long');
  }, limitMs);
  const stop = (): void => {
    stopped.resolve('stopped');
  };
  if (signal?.aborted === true) stop();
  signal?.addEventListener('abort', stop);
  const read = { bytes: 0, stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const keep = (name: 'stdout' | 'stderr', stream: Duplex | undefined): Promise<void> => {
    stream?.on('data', (chunk: Buffer) => {
      read.bytes += chunk.length;
      if (read.bytes <= maxBytes) read[name].push(chunk);
      else stopped.resolve('too much');
    });
    return over(stream);
  };
  const child = { runs: true };
  const ended = program.ended.then((end) => {
    child.runs = false;
    return end;
  });
  const said = Promise.all([ended, keep('stdout', stdout), keep('stderr', stderr)]);
  stdin?.on('error', () => stdin.destroy()); // one that ended early is recognised by its end
  stdin?.end(input);
  try {
    const first = await Promise.race([said, stopped.promise]);
    if (typeof first === 'string') {
      if (child.runs) signalGroup(program.pid, 'KILL');
      else signalRemains(program.pid, 'KILL');
      return { status: first };
    }
    const text = (name: 'stdout' | 'stderr'): string => Buffer.concat(read[name]).toString('utf8');
    return { status: 'ended', end: first[0], stdout: text('stdout'), stderr: text('stderr') };
  } finally {
    limit.stop();
    signal?.removeEventListener('abort', stop);
    for (const stream of program.streams) stream?.destroy();
  }
}

/** Resolves when nothing more comes. */
const over = (stream: Duplex | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (stream === undefined) resolve();
    stream
      ?.once('end', resolve)
      .once('close', resolve)
      .once('error', () => {
        resolve();
      });
  });

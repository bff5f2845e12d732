import { PassThrough, type Duplex } from 'node:stream';
import type { Resolver } from '../base/resolver-process.ts';
import { messageOf } from '../base/errors.ts';
import type { ProgramEnd } from '../machine/exit-status.ts';
import type { StartedProgram } from '../machine/program-starter.ts';
import { signalGroup } from '../machine/signal-group.ts';
import { ownStarter } from './own-starter.ts';

/** libuv lets half of these wait for names. */
const threads = 64;
/** Variables that getaddrinfo uses, and those that the runtime needs to start. */
const passedOn = ['PATH', 'HOME', 'LANG', 'RES_OPTIONS', 'LOCALDOMAIN'];

function environment(): [name: string, value: string][] {
  const kept = passedOn.flatMap((name): [string, string][] => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  });
  return [...kept, ['UV_THREADPOOL_SIZE', String(threads)]];
}

/**
 * Starts the process that looks up names. It does not delay our own end: when we end, its input ends, and
 * with it the process.
 * @param command argv that runs `answerNames`.
 */
export function startResolver(command: readonly string[]): Resolver {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const unwanted = new AbortController();
  return {
    input,
    output,
    ended: run(command, { input, output, unwanted: unwanted.signal }),
    kill: () => {
      unwanted.abort();
    },
  };
}

interface Ends {
  readonly input: PassThrough;
  readonly output: PassThrough;
  /** Aborted when it is to end at once. */
  readonly unwanted: AbortSignal;
}

async function run(command: readonly string[], { input, output, unwanted }: Ends): Promise<string> {
  let program: StartedProgram;
  try {
    const starter = await ownStarter();
    const order = {
      argv: command,
      environment: environment(),
      folder: '/',
      streams: ['input', 'output', 'none'],
      newSession: true, // a signal from a terminal that ends us is not meant for it
    } as const;
    program = await starter.start(order, input, unwanted);
  } catch (e) {
    output.end();
    return messageOf(e);
  }
  const kill = (): void => void signalGroup(program.pid, 'KILL');
  unwanted.addEventListener('abort', kill);
  const read = join(program.streams, { input, output });
  const end = await program.ended;
  unwanted.removeEventListener('abort', kill); // its process id may belong to another process from here on
  await read;
  return `its process ended (${textOf(end)})`;
}

/** Resolves when all its output is read. */
async function join(
  [stdin, stdout]: StartedProgram['streams'],
  { input, output }: Omit<Ends, 'unwanted'>,
): Promise<void> {
  for (const stream of [stdin, stdout]) {
    holdUpNobody(stream);
    stream?.on('error', () => stream.destroy()); // it has ended, which it reports
  }
  if (stdin !== undefined) input.pipe(stdin);
  stdout?.pipe(output);
  await new Promise<void>((resolve) => {
    if (stdout === undefined) resolve();
    else stdout.once('close', resolve);
  });
  stdin?.destroy();
  output.end();
}

function holdUpNobody(stream: (Partial<{ unref(): void }> & Duplex) | undefined): void {
  stream?.unref?.();
}

function textOf(end: ProgramEnd): string {
  if (end.status === 'exited') return `status ${end.code}`;
  return end.status === 'killed' ? `signal ${end.signal}` : 'it is not known how';
}

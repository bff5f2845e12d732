import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, existsSync, fchownSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { readingLentMemory } from '../base/lent-memory.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import { requireDescriptorsFor } from '../base/free-descriptors.ts';
import { ChildEnds } from './child-ends.ts';
import type { ProgramCalls, SpawnCall } from './libc-spawn.ts';
import type { ProgramEnd } from './exit-status.ts';
import { StartTurns } from './start-turns.ts';

/** The kind of one of a program's descriptors. */
export type ProgramStream =
  /** A descriptor of ours, above 2, which stays ours. */
  | number
  /** /dev/null. */
  | 'none'
  /** A pipe that we write to, or read from. */
  | 'input'
  | 'output';

export interface ProgramOrder {
  /** An absolute path, or a name that is looked for in our PATH. */
  readonly argv: readonly string[];
  readonly environment: Iterable<readonly [name: string, value: string]>;
  /** Undefined: where we are. */
  readonly folder?: string | undefined;
  /** Of its descriptors 0, 1, 2, ...: it has no others. */
  readonly streams: readonly ProgramStream[];
  /** It leads a session and a process group of its own. */
  readonly newSession: boolean;
  /**
   * The owner of the pipes of its standard streams: a script can open `/dev/stdout` by name only when it owns
   * it.
   */
  readonly pipeOwner?: { readonly uid: number; readonly gid: number } | undefined;
}

export interface StartedProgram {
  readonly pid: number;
  /** Our end of each pipe, at the place of its descriptor. */
  readonly streams: readonly (Duplex | undefined)[];
  /** Its output may still be on the way. Never rejects. */
  readonly ended: Promise<ProgramEnd>;
}

/**
 * Starts every program of this process: by posix_spawn where the C library can be called, else by Node, which
 * forks; one in a turn of the event loop in any case.
 */
export class ProgramStarter {
  readonly #libc: ProgramCalls | undefined;
  readonly #ends: ChildEnds | undefined;
  readonly #turns = new StartTurns();

  constructor(libc: ProgramCalls | undefined) {
    this.#libc = libc;
    this.#ends = libc === undefined ? undefined : new ChildEnds(libc.processes);
  }

  /**
   * Starts a program when it is the turn of `of`, its client.
   * @param unwanted aborted when nobody wants the program any more: while it waits for its turn it is
   *   dropped.
   * @throws CodedError `unavailable` with the reason; then nothing was started and nothing is left open.
   */
  async start(order: ProgramOrder, of: object, unwanted?: AbortSignal): Promise<StartedProgram> {
    const { argv, environment } = order;
    const texts = [...argv, ...[...environment].flat()];
    if (texts.some((text) => text.includes('\0')))
      throw new CodedError('unavailable', 'no program can be given a NUL byte');
    await this.#turns.take(of, unwanted);
    return this.#libc === undefined || this.#ends === undefined
      ? startByNode(order)
      : startByLibc(this.#libc, this.#ends, order);
  }
}

/** The ends of pipes while a program is being started. */
interface Ends {
  readonly theirs: number[];
  /** Closed when it has started, and when it has not. */
  readonly passed: number[];
  readonly ours: (Socket | undefined)[];
}

function startByLibc(libc: ProgramCalls, ends: ChildEnds, order: ProgramOrder): StartedProgram {
  const { argv, environment, folder, newSession } = order;
  const made: Ends = { theirs: [], passed: [], ours: [] };
  try {
    for (const stream of order.streams) openStream(libc, stream, order, made);
    const call = {
      environment: [...environment].map(([name, value]) => `${name}=${value}`),
      folder,
      descriptors: made.theirs,
      newSession,
    };
    const begun = ends.watch(() => pidOf(libc, { ...call, argv }));
    return { ...begun, streams: made.ours };
  } catch (e) {
    for (const socket of made.ours) socket?.destroy();
    throw e instanceof CodedError ? e : new CodedError('unavailable', messageOf(e));
  } finally {
    for (const fd of made.passed) closeSync(fd);
  }
}

function pidOf({ processes }: ProgramCalls, call: SpawnCall): number {
  const [path = '', ...args] = call.argv;
  let begun = processes.spawn(call);
  // A script whose first line names no interpreter: as execvp(3) does.
  if ('errno' in begun && begun.errno === osConstants.errno.ENOEXEC)
    begun = processes.spawn({ ...call, argv: ['/bin/sh', pathOf(path), ...args] });
  if ('pid' in begun) return begun.pid;
  const errno = -begun.errno;
  throw new CodedError(
    'unavailable',
    `${path}: ${getSystemErrorName(errno)}: ${getSystemErrorMessage(errno)}`,
  );
}

/** The path of a name in our PATH. */
function pathOf(name: string): string {
  if (name.includes('/')) return name;
  const folders = (process.env['PATH'] ?? '').split(':');
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? name;
}

function openStream(
  libc: ProgramCalls,
  stream: ProgramStream,
  { pipeOwner }: ProgramOrder,
  made: Ends,
): void {
  if (typeof stream === 'number') {
    made.theirs.push(stream);
    made.ours.push(undefined);
    return;
  }
  if (stream === 'none') {
    const fd = openSync('/dev/null', constants.O_RDWR); // Node adds O_CLOEXEC
    made.passed.push(fd);
    made.theirs.push(fd);
    made.ours.push(undefined);
    return;
  }
  const [reading, writing] = libc.pipe();
  const isInput = stream === 'input';
  const [theirs, ours] = isInput ? [reading, writing] : [writing, reading];
  made.passed.push(theirs);
  made.theirs.push(theirs);
  made.ours.push(
    isInput
      ? new Socket({ fd: ours, readable: false, writable: true })
      : readingLentMemory((onread) => new Socket({ fd: ours, readable: true, writable: false, onread })),
  );
  const isStandard = made.theirs.length <= 3;
  if (pipeOwner !== undefined && isStandard)
    for (const fd of [reading, writing]) fchownSync(fd, pipeOwner.uid, pipeOwner.gid);
}

/**
 * Node's pipes are sockets: then `echo > /dev/stderr` does not work in programs. Real-time signals that this
 * process was started with ignored stay ignored in them.
 */
async function startByNode({
  argv,
  environment,
  folder,
  streams,
  newSession,
}: ProgramOrder): Promise<StartedProgram> {
  const [path = '', ...args] = argv;
  let child: ChildProcess | undefined;
  try {
    requireDescriptorsFor(streams.length);
    const begun = spawn(path, args, {
      detached: newSession,
      env: Object.fromEntries(environment),
      cwd: folder,
      stdio: streams.map((stream) =>
        typeof stream === 'number' ? stream : stream === 'none' ? 'ignore' : 'pipe',
      ),
    });
    child = begun;
    const ended = endByNode(begun);
    await new Promise<void>((resolve, reject) => {
      begun.once('spawn', resolve).once('error', reject);
    });
    begun.on('error', () => undefined);
    const ours = streams.map((_, i) => (begun.stdio[i] ?? undefined) as Duplex | undefined);
    return { pid: begun.pid ?? 0, streams: ours, ended };
  } catch (e) {
    for (const stream of child?.stdio ?? []) stream?.destroy();
    throw new CodedError('unavailable', messageOf(e));
  }
}

/** Node has no name for a real-time signal, and then reports 0. */
const endByNode = (child: ChildProcess): Promise<ProgramEnd> =>
  new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      if (signal === null) resolve({ status: 'exited', code: code ?? 255 });
      else resolve({ status: 'killed', signal: osConstants.signals[signal], coreDumped: false });
    });
  });

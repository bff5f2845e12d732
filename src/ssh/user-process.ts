import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, fchownSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { CodedError, messageOf } from '../base/errors.ts';
import type { ExitStatus } from './channel-types.ts';
import { lowerLimit, underLimit } from './descriptor-limit.ts';
import type { Libc } from './libc.ts';
import { systemProgram, type OsUser } from './passwd.ts';
import {
  asUser,
  type LineVariables,
  onTerminal,
  preludeInput,
  programLine,
  type Program,
  withUmask,
} from './program-line.ts';
import type { Pty } from './pty.ts';
import { signalAs, SignalSender } from './signal-as.ts';

export interface ProgramStart {
  readonly user: OsUser;
  readonly program: Program;
  /** Octal: how its files are made. */
  readonly umask: string;
  /** All of it: nothing of the daemon's own environment is passed on. */
  readonly environment: LineVariables;
  /** Without it, standard streams are sockets: then `echo > /dev/stderr` does not work in programs. */
  readonly libc: Libc | undefined;
  /** The program's terminal; without one it gets three pipes. Its slave end is closed here once it is passed on. */
  readonly pty?: Pty;
}

/** The ends of a program's pipes that we hold. */
export interface ProgramPipes {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** A program of a person. */
export interface UserProcess {
  readonly pid: number;
  /** Undefined with a terminal. */
  readonly pipes: ProgramPipes | undefined;
  /** How it ended; its output may still be on the way. Never rejects. */
  readonly ended: Promise<ExitStatus>;
  /**
   * Sends a signal, `TERM` for example, to the whole process group, with the rights of the person. False: there is no
   * such signal, or nobody left whom the person may signal. Never rejects.
   */
  signal(name: string): Promise<boolean>;
  /**
   * The person is gone: HUP to the process group, KILL after `graceMs` to what is left of it if the program itself still
   * runs. Resolves when it has ended; a program that the person may not end (a set-uid one that has become root) is left
   * to itself, and it is not known how it ends.
   */
  hangUp(graceMs: number): Promise<void>;
}

/** Names a client may send or be told. Source: RFC 4254, 6.10. */
const standardSignals = new Set([
  ...['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2'],
]);

/** A killed program is gone in a moment, unless it may not be killed or waits for a disk. */
const killedMs = 1_000;

const launchFailure = (reason: string): CodedError =>
  new CodedError('unavailable', `Failed to launch: ${reason}.`);

/** What a killed program is reported as. Signals that the protocol has no name for get one of OpenSSH's. */
export function exitOf(code: number | null, signal: NodeJS.Signals | null): ExitStatus {
  if (signal === null) return { status: 'exited', code: code ?? 255 };
  const name = signal.replace(/^SIG/, '');
  return {
    status: 'signalled',
    signal: standardSignals.has(name) ? name : `${name}@openssh.com`,
    coreDumped: false,
    message: '',
  };
}

/**
 * Starts a program as `user`: with its ids and groups, in its home, in a process group of its own, holding no descriptor
 * but its standard streams, and with a normal limit of how many it may open. When we run as that user already, ids and groups stay as they are.
 * @throws CodedError `unavailable`, the message beginning with `Failed to launch:`, when it cannot be started.
 */
export async function startProgram(start: ProgramStart): Promise<UserProcess> {
  checkStart(start);
  const { user, pty } = start;
  const own = process.getuid?.() === user.uid;
  const [path = '', ...args] = commandLine(start, own);
  const ends = pty === undefined ? programEnds(start) : terminalEnds(pty);
  let child: ChildProcess;
  try {
    child = spawn(path, args, {
      detached: pty === undefined,
      ...(own
        ? { stdio: [...ends.standard], env: Object.fromEntries(start.environment), cwd: startFolder(user) }
        : // The root part of the way gets nothing from the client: see program-line.ts.
          { stdio: [...ends.standard, 'pipe'], env: { PATH: '/usr/bin:/bin' }, cwd: '/' }),
    });
    await spawned(child);
  } catch (e) {
    ends.abandon();
    throw launchFailure(messageOf(e));
  } finally {
    ends.passedOn();
  }
  if (!own) sendEnvironment(child, start.environment);
  return new Running(child, user, ends.pipes(child));
}

function checkStart({ user, program }: ProgramStart): void {
  const words = programLine(program, user);
  if (words.some((word) => word.includes('\0'))) throw launchFailure('the command has a NUL byte in it');
  const self = process.getuid?.();
  if (self !== 0 && self !== user.uid)
    throw launchFailure(
      `this node runs as uid ${self ?? 'unknown'} and not as root, so it cannot start programs of ${user.name}`,
    );
  const path = words[0] ?? '';
  try {
    accessSync(path, constants.X_OK);
    if (!statSync(path).isFile()) throw launchFailure(`${path} is not a program`);
  } catch (e) {
    if (e instanceof CodedError) throw e;
    throw launchFailure(`${path}: ${(e as NodeJS.ErrnoException).code ?? messageOf(e)}`);
  }
}

function commandLine({ user, umask, program, pty }: ProgramStart, own: boolean): readonly string[] {
  const plain = programLine(program, user);
  const inSession = pty === undefined ? plain : onTerminal(required('setsid'), plain);
  const line = own ? withUmask(umask, inSession) : asUser(required('setpriv'), { user, umask }, inSession);
  const soft = lowerLimit();
  return soft === undefined ? line : underLimit(required('prlimit'), soft, line);
}

function required(name: string): string {
  const path = systemProgram(name);
  if (path === undefined) throw launchFailure(`the program ${name} (util-linux) is not installed`);
  return path;
}

/** The home, when it can be entered. */
function startFolder(user: OsUser): string {
  try {
    accessSync(user.home, constants.X_OK);
    if (statSync(user.home).isDirectory()) return user.home;
  } catch {
    // Gone or closed to its owner: the person still gets in, as with other servers.
  }
  return '/';
}

type End = number | 'pipe';

/** The standard streams of a program that is about to start. */
interface ProgramEnds {
  readonly standard: readonly [End, End, End];
  /** The child holds its ends: ours of them are closed. To be called in any case. */
  passedOn(): void;
  /** It did not start. */
  abandon(): void;
  pipes(child: ChildProcess): ProgramPipes | undefined;
}

function terminalEnds(pty: Pty): ProgramEnds {
  const { slaveFd } = pty;
  if (slaveFd === undefined) throw launchFailure('the terminal is closed');
  return {
    standard: [slaveFd, slaveFd, slaveFd],
    passedOn: () => {
      pty.closeSlave();
    },
    abandon: () => undefined, // whoever opened the terminal closes it
    pipes: () => undefined,
  };
}

const programEnds = ({ libc, user }: ProgramStart): ProgramEnds =>
  libc === undefined
    ? {
        standard: ['pipe', 'pipe', 'pipe'],
        passedOn: () => undefined,
        abandon: () => undefined,
        pipes: nodePipes,
      }
    : realPipes(libc, user);

/**
 * Real pipes: Node's own are sockets, which `/dev/stdout` and `/dev/stderr` of a script cannot open. They belong to the
 * user for the same reason.
 */
function realPipes(libc: Libc, user: OsUser): ProgramEnds {
  const fds: number[] = [];
  const make = (): readonly [number, number] => {
    const pair = libc.pipe();
    fds.push(...pair);
    if (process.getuid?.() === 0) for (const fd of pair) fchownSync(fd, user.uid, user.gid);
    return pair;
  };
  let all: readonly (readonly [number, number])[];
  try {
    all = [make(), make(), make()];
  } catch (e) {
    for (const fd of fds) closeSync(fd);
    throw launchFailure(messageOf(e));
  }
  const [[inRead, inWrite], [outRead, outWrite], [errRead, errWrite]] = all as [
    [number, number],
    [number, number],
    [number, number],
  ];
  const own = {
    stdin: new Socket({ fd: inWrite, readable: false, writable: true }),
    stdout: new Socket({ fd: outRead, readable: true, writable: false }),
    stderr: new Socket({ fd: errRead, readable: true, writable: false }),
  };
  return {
    standard: [inRead, outWrite, errWrite],
    passedOn: () => {
      for (const fd of [inRead, outWrite, errWrite]) closeSync(fd);
    },
    abandon: () => {
      for (const stream of [own.stdin, own.stdout, own.stderr]) stream.destroy();
    },
    pipes: () => own,
  };
}

function nodePipes({ stdin, stdout, stderr }: ChildProcess): ProgramPipes {
  if (stdin === null || stdout === null || stderr === null) throw new Error('a child without its pipes');
  return { stdin, stdout, stderr };
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve).once('error', reject);
  });
}

function sendEnvironment(child: ChildProcess, environment: LineVariables): void {
  const stream = child.stdio[3] as Writable | null | undefined;
  // A program that died before it read says so by its exit.
  stream?.on('error', () => stream.destroy());
  stream?.end(preludeInput(environment), () => stream.destroy());
}

class Running implements UserProcess {
  readonly pid: number;
  readonly pipes: ProgramPipes | undefined;
  readonly ended: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #signals: SignalSender;
  #alive = true;
  #tellEnd: (exit: ExitStatus) => void = () => undefined;

  constructor(child: ChildProcess, user: OsUser, pipes: ProgramPipes | undefined) {
    const pid = child.pid ?? 0;
    this.pid = pid;
    this.pipes = pipes;
    this.#child = child;
    // Once it is reaped, the number may be someone else's.
    this.#signals = new SignalSender((names) =>
      this.#alive && pid > 1 ? signalAs(user, pid, names) : Promise.resolve(false),
    );
    // A pipe whose other end is gone ends; that is all there is to it.
    if (pipes !== undefined)
      for (const stream of [pipes.stdin, pipes.stdout, pipes.stderr]) stream.on('error', () => undefined);
    child.on('error', () => undefined); // `spawned` has told, and signals are sent by others
    this.ended = new Promise((resolve) => {
      this.#tellEnd = (exit) => {
        this.#alive = false;
        resolve(exit);
      };
      child.once('exit', (code, signal) => {
        this.#tellEnd(exitOf(code, signal));
      });
    });
  }

  async signal(name: string): Promise<boolean> {
    return standardSignals.has(name) && `SIG${name}` in osConstants.signals && this.#signals.send(name);
  }

  async hangUp(graceMs: number): Promise<void> {
    void this.#signals.send('HUP', 'CONT'); // a stopped program cannot hear of it otherwise
    if (await this.#endsWithin(graceMs)) return;
    await this.#signals.send('KILL');
    if (await this.#endsWithin(killedMs)) return;
    this.#child.unref();
    this.#tellEnd({ status: 'unknown' });
  }

  async #endsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => (timer = setTimeout(resolve, ms, false)));
    const ended = await Promise.race([this.ended.then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }
}

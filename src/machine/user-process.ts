import { accessSync, constants, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { startTimer, stopTimer, type Timer } from '../base/timers.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { ExitStatus } from '../ssh/channel-types.ts';
import { lowerLimit, underLimit } from './descriptor-limit.ts';
import { systemProgram, type OsUser } from './passwd.ts';
import { exitOf, standardSignals } from './exit-status.ts';
import {
  asUser,
  type LineVariables,
  maxArgumentBytes,
  onTerminal,
  preludeInput,
  programLine,
  type Program,
  withUmask,
} from './program-line.ts';
import type { ProgramOrder, ProgramStarter, ProgramStream, StartedProgram } from './program-starter.ts';
import type { Pty } from './pty.ts';
import { signalAs, SignalSender } from './signal-as.ts';

export interface ProgramStart {
  readonly user: OsUser;
  readonly program: Program;
  /** Octal: how its files are made. */
  readonly umask: string;
  /** All of it: nothing of the daemon's own environment is passed on. */
  readonly environment: LineVariables;
  readonly starter: ProgramStarter;
  /** Who it is started for, a connection say: they take turns. */
  readonly of: object;
  /** Aborted when that one is gone: nothing is started after that. Its signals are still sent. */
  readonly unwanted?: AbortSignal;
  /**
   * The program's terminal; without one it gets three pipes. Its slave end is closed here once it is passed
   * on.
   */
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
   * Sends a signal, `TERM` for example, to the whole process group, with the rights of the person. False:
   * there is no such signal, or nobody left whom the person may signal. Never rejects.
   */
  signal(name: string): Promise<boolean>;
  /**
   * The person is gone: HUP to the process group, KILL after `graceMs` to what is left of it if the program
   * itself still runs. Resolves when it has ended; a program that the person may not end (a set-uid one that
   * has become root) is left to itself, and it is not known how it ends.
   */
  hangUp(graceMs: number): Promise<void>;
}

/** A killed program is gone in a moment, unless it may not be killed or waits for a disk. */
const killedMs = 1_000;

const launchFailure = (reason: string): CodedError =>
  new CodedError('unavailable', `Failed to launch: ${reason}.`);

/**
 * Starts a program as `user`: with its ids and groups, in its home, in a process group of its own, holding no
 * descriptor but its standard streams, and with a normal limit of how many it may open. When we run as that
 * user already, ids and groups stay as they are.
 * @throws CodedError `unavailable`, the message beginning with `Failed to launch:`, when it cannot be
 * started.
 */
export async function startProgram(start: ProgramStart): Promise<UserProcess> {
  checkStart(start);
  const { pty, starter } = start;
  try {
    const started = await starter.start(orderOf(start), start.of, start.unwanted);
    sendEnvironment(started, start.environment);
    return new Running(start, started);
  } catch (e) {
    if (!isCoded(e)) throw e;
    throw launchFailure(e.message);
  } finally {
    pty?.closeSlave(); // the program holds it by now
  }
}

function orderOf(start: ProgramStart): ProgramOrder {
  const { user, pty } = start;
  const own = process.getuid?.() === user.uid;
  const argv = commandLine(start, own);
  const standard = pty === undefined ? (['input', 'output', 'output'] as const) : terminalOf(pty);
  const newSession = pty === undefined; // on a terminal `setsid` makes it
  const pipeOwner = process.getuid?.() === 0 ? user : undefined;
  if (own)
    return {
      ...{ argv, streams: standard, newSession, pipeOwner },
      environment: start.environment,
      folder: startFolder(user),
    };
  // The part that runs as root gets nothing from the client: see program-line.ts.
  return {
    ...{ argv, streams: [...standard, 'input'], newSession, pipeOwner },
    environment: [['PATH', '/usr/bin:/bin']],
    folder: '/',
  };
}

function terminalOf({ slaveFd }: Pty): readonly ProgramStream[] {
  if (slaveFd === undefined) throw launchFailure('the terminal is closed');
  return [slaveFd, slaveFd, slaveFd];
}

function checkStart({ user, program }: ProgramStart): void {
  const words = programLine(program, user);
  if (words.some((word) => word.includes('\0'))) throw launchFailure('the command has a NUL byte in it');
  const longest = Math.max(...words.map((word) => Buffer.byteLength(word)));
  if (longest > maxArgumentBytes)
    throw launchFailure(`the command is ${longest} bytes long, and this system takes ${maxArgumentBytes}`);
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

/** Over descriptor 3, where the order has one. */
function sendEnvironment({ streams: [, , , stream] }: StartedProgram, environment: LineVariables): void {
  // A program that died before it read is reported by its exit.
  stream?.on('error', () => stream.destroy());
  stream?.end(preludeInput(environment), () => stream.destroy());
}

function pipesOf({ streams: [stdin, stdout, stderr] }: StartedProgram): ProgramPipes | undefined {
  if (stdin === undefined || stdout === undefined || stderr === undefined) return undefined;
  // A pipe whose other end is gone ends; nothing more needs to be done.
  for (const stream of [stdin, stdout, stderr]) stream.on('error', () => undefined);
  return { stdin, stdout, stderr };
}

class Running implements UserProcess {
  readonly pid: number;
  readonly pipes: ProgramPipes | undefined;
  readonly ended: Promise<ExitStatus>;
  readonly #signals: SignalSender;
  #alive = true;
  #tellEnd: (exit: ExitStatus) => void = () => undefined;

  constructor(start: ProgramStart, started: StartedProgram) {
    const { pid } = started;
    this.pid = pid;
    this.pipes = pipesOf(started);
    // Once it is reaped, its process id may belong to another process.
    this.#signals = new SignalSender((names) =>
      this.#alive && pid > 1 ? signalAs(start.user, pid, names, start) : Promise.resolve(false),
    );
    this.ended = new Promise((resolve) => {
      this.#tellEnd = (exit) => {
        this.#alive = false;
        resolve(exit);
      };
    });
    void started.ended.then((end) => {
      this.#tellEnd(exitOf(end));
    });
  }

  async signal(name: string): Promise<boolean> {
    return standardSignals.has(name) && `SIG${name}` in osConstants.signals && this.#signals.send(name);
  }

  async hangUp(graceMs: number): Promise<void> {
    void this.#signals.send('HUP', 'CONT'); // a stopped program would not receive it otherwise
    if (await this.#endsWithin(graceMs)) return;
    await this.#signals.send('KILL');
    if (await this.#endsWithin(killedMs)) return;
    this.#tellEnd({ status: 'unknown' });
  }

  async #endsWithin(ms: number): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = startTimer(() => {
        resolve(false);
      }, ms);
    });
    const ended = await Promise.race([this.ended.then(() => true), late]);
    stopTimer(timer);
    return ended;
  }
}

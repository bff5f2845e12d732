import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { CodedError } from '../../base/errors.ts';
import { type ProcessRef, processRef } from '../../base/process-ref.ts';
import { startTimer, stopTimer } from '../../base/timers.ts';
import { type InheritedListener, inheritanceVariables, type PredecessorMessage } from './inheritance.ts';

/** A new generation of the daemon that serves. */
export interface Successor extends ProcessRef {
  /** Resolves when it is gone, whatever the reason. */
  readonly ended: Promise<void>;
}

/** Why a successor did not come to serve. */
export class SuccessorFailure extends CodedError {
  readonly exitCode: string;
  readonly lastLines: readonly string[];
  constructor(reason: string, exitCode: string, lastLines: readonly string[]) {
    super('unavailable', reason);
    this.exitCode = exitCode;
    this.lastLines = lastLines;
  }
}

export interface SuccessorOptions {
  /** Program and arguments, unresolved, so that a link is followed when the successor starts. */
  readonly commandLine: readonly string[];
  readonly listeners: readonly InheritedListener[];
  /** The open file that is the lock of the data directory; undefined: there is none to share. */
  readonly lockFd: number | undefined;
  /** From here until it is ready. */
  readonly limitMs: number;
  readonly env: NodeJS.ProcessEnv;
  /** Ends the attempt, and the process that was started. */
  readonly cancelled: AbortSignal;
}

/** Descriptors of the shell; the successor finds the first, the listeners, and the lock after them. */
const readyFd = 3;
const exitFd = 4;
const firstListenerFd = 5;
const keptLines = 20;

/**
 * The one child we have is a shell that waits for the successor and reports how it ended. Once the successor
 * serves, the shell is killed: the successor is then a child of process 1, and notifies systemd, which would
 * not watch it before. It has a session of its own, so that a terminal's interrupt does not reach it.
 */
const watchScript = 'setsid "$@" 4>&- & wait $!; echo $? >&4';

/**
 * Starts the daemon again from what is on disk, with our listeners. Resolves when it reports that it serves.
 * @throws SuccessorFailure when it ended, reported why it cannot serve, or was not ready in time; it is gone
 *   then.
 */
export function startSuccessor(options: SuccessorOptions): Promise<Successor> {
  const { commandLine, listeners, lockFd, limitMs, env, cancelled } = options;
  const passed = listeners.map((one, i) => ({ ...one, fd: firstListenerFd + i }));
  const shell = spawn('/bin/sh', ['-c', watchScript, 'sh', ...commandLine], {
    cwd: existsSync(process.cwd()) ? process.cwd() : '/',
    env: {
      ...env,
      [inheritanceVariables.files]: JSON.stringify(passed),
      [inheritanceVariables.ready]: String(readyFd),
      ...(lockFd !== undefined && {
        [inheritanceVariables.lock]: String(firstListenerFd + listeners.length),
      }),
    },
    stdio: [
      'ignore',
      'inherit',
      'inherit',
      'pipe',
      'pipe',
      ...listeners.map((one) => one.fd),
      ...(lockFd === undefined ? [] : [lockFd]),
    ],
  });
  const messages = shell.stdio[readyFd] as Socket;
  const exit = shell.stdio[exitFd] as Socket;
  return new Promise((resolve, reject) => {
    let reason: string | undefined;
    let exitCode = '';
    const lines: string[] = [];
    let settled = false;
    let serving: ProcessRef | undefined;
    const endShell = (): void => {
      shell.kill('SIGKILL');
      exit.destroy();
    };
    const fail = (why: string): void => {
      if (settled) return;
      settled = true;
      stopTimer(limit);
      for (const pid of serving ? [serving.pid] : childrenOf(shell.pid)) kill(pid);
      messages.destroy();
      endShell();
      reject(new SuccessorFailure(why, exitCode, lines));
    };
    const limit = startTimer(() => {
      const last = lines.at(-1);
      const said = last === undefined ? '' : `; its last line: ${last}`;
      fail(`was not ready within ${limitMs / 1000} s and was ended${said}`);
    }, limitMs);
    const release = (pid: number): void => {
      if (settled || serving !== undefined) return;
      serving = processRef(pid);
      if (serving !== undefined) endShell();
    };
    const succeed = (pid: number): void => {
      release(pid);
      if (settled || serving === undefined) return;
      settled = true;
      stopTimer(limit);
      const ended = new Promise<void>((gone) => messages.once('close', gone));
      messages.unref();
      resolve({ ...serving, ended });
    };
    cancelled.addEventListener('abort', () => {
      fail('was ended, since this process is ending');
    });
    shell.on('error', (e) => {
      fail(`cannot be started: ${e.message}`);
    });
    exit.on('data', (data: Buffer) => {
      exitCode = data.toString().trim();
    });
    exit.on('error', () => undefined);
    messages.on('error', () => undefined);
    messages.once('close', () => {
      if (serving !== undefined) fail('ended when it had begun to serve');
    });
    // The shell ends after the successor: by then all its output is here.
    shell.once('close', () => {
      if (serving !== undefined) return;
      fail(reason ?? `ended before it was ready${exitCode === '' ? '' : `, exit code ${exitCode}`}`);
    });
    createInterface({ input: messages }).on('line', (line) => {
      const message = parse(line);
      if (message?.type === 'line')
        lines.splice(0, lines.length, ...[...lines, message.text].slice(-keptLines));
      else if (message?.type === 'failed') reason = message.reason;
      else if (message?.type === 'serving') release(message.pid);
      else if (message?.type === 'ready') succeed(message.pid);
    });
  });
}

function parse(line: string): PredecessorMessage | undefined {
  try {
    return JSON.parse(line) as PredecessorMessage;
  } catch {
    return undefined;
  }
}

/** The successor, until it serves: it did not fork. Source: proc(5), task/<tid>/children. */
function childrenOf(pid: number | undefined): number[] {
  try {
    const children = readFileSync(`/proc/${pid ?? ''}/task/${pid ?? ''}/children`, 'utf8');
    return children.split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}

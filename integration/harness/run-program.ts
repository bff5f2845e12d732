import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
}

/** Runs a program to its end. Both streams are kept apart. Killed after `timeoutMs` (60 s). */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((settle, reject) => {
    const child = spawn(command, args, { env: options.env ?? process.env, cwd: options.cwd });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (d: Buffer) => out.push(d));
    child.stderr.on('data', (d: Buffer) => err.push(d));
    const limit = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    child.on('error', reject);
    child.stdin.on('error', () => undefined); // a program that does not read its input is not a failure of the test
    child.stdin.end(options.input ?? '');
    child.on('close', (code, signal) => {
      clearTimeout(limit);
      settle({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

/** Between two questions: long enough for whoever is asked to get on with it. */
const leastPauseMs = 50;
const longestPauseMs = 500;
/** What a wait may take longer for being asked about rarely. */
const lateness = 0.1;

/**
 * Asks until `ask` answers something other than undefined; fails after `limitMs` with `what`. Rests between
 * as long as a question takes: one that starts a program would else keep a processor from what it waits for.
 * Such a question is put more and more rarely, the longer the wait has lasted.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
  limitMs = 30_000,
): Promise<T> {
  const begin = performance.now();
  for (;;) {
    const asked = performance.now();
    const answer = await ask();
    if (answer !== undefined) return answer;
    const now = performance.now();
    if (now - begin > limitMs) throw new Error(`waited ${limitMs} ms in vain for: ${what}`);
    await delay(pauseAfter(now - asked, now - begin));
  }
}

const pauseAfter = (questionMs: number, waitedMs: number): number =>
  questionMs <= leastPauseMs
    ? leastPauseMs
    : Math.max(Math.min(questionMs, longestPauseMs), lateness * waitedMs);

/** Asks a program to end, and resolves when it has; also when it had before. */
export const ended = (child: ChildProcess): Promise<void> =>
  new Promise((settle) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      settle();
      return;
    }
    child.once('exit', () => {
      settle();
    });
    child.kill('SIGTERM');
  });

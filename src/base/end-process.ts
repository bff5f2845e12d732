import { accessSync, constants, fstatSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';

/** A program that ends with the status it is given, and is on every machine that our launchers run on. */
const shell = '/bin/sh';

/** Standard input, output and error: other processes may have the same open file. */
const standard = [0, 1, 2] as const;

/** Those of the standard descriptors whose open file did not wait (O_NONBLOCK) when this process began. */
let nonBlockingAtStart: ReadonlySet<number> = new Set();

/**
 * To be called before any of the standard streams is used: the runtime makes pipes and sockets non-blocking.
 */
export function rememberDescriptors(): void {
  nonBlockingAtStart = new Set(standard.filter(isNonBlocking));
}

/**
 * Ends this process with `status` at once; what the standard streams still hold is lost, so flush them
 * before.
 *
 * Not by `process.exit`: that waits for the runtime's compiler threads, and one of them may wait for a
 * collection of garbage that the waiting main thread never makes (nodejs/node#54918): the process then hangs
 * for ever. In its place this process becomes a shell that exits with `status`; the kernel ends the threads.
 * The cleanup of `process.exit` is done here: the terminal, O_NONBLOCK of shared descriptors.
 */
export function endProcess(status: number): never {
  restoreTerminal();
  restoreDescriptors();
  const execve = process.execve?.bind(process); // the types promise it, runtimes before 24 lack it
  // A shell that is missing would abort the process instead of failing.
  if (execve !== undefined && isExecutable(shell)) execve(shell, ['sh', '-c', `exit ${status & 0xff}`], {});
  // Without a shell there is no other way.
  return process.exit(status);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function restoreTerminal(): void {
  if (!isatty(0)) return;
  try {
    if (process.stdin.isRaw) process.stdin.setRawMode(false);
  } catch {
    // It was hung up, and cannot be opened any more: there is nothing to restore.
  }
}

/**
 * A program that shares our pipe, such as the next command of a script, would fail with EAGAIN where it means
 * to wait.
 */
function restoreDescriptors(): void {
  for (const fd of standard) if (!nonBlockingAtStart.has(fd) && isPipe(fd) && isNonBlocking(fd)) block(fd);
}

function isNonBlocking(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & constants.O_NONBLOCK) !== 0;
  } catch {
    return false; // closed, or there is no /proc
  }
}

function isPipe(fd: number): boolean {
  try {
    const info = fstatSync(fd);
    return info.isFIFO() || info.isSocket();
  } catch {
    return false; // closed
  }
}

/** Of the runtime's handle on a stream of bytes; not in its types, and there since 0.x. */
interface BlockingHandle {
  setBlocking?(blocking: boolean): number;
}

function block(fd: number): void {
  try {
    const { _handle } = new Socket({ fd, readable: false, writable: false }) as unknown as {
      _handle?: BlockingHandle | null;
    };
    _handle?.setBlocking?.(true);
  } catch {
    // Not one that the runtime can open: then it was not the runtime that changed it.
  }
}

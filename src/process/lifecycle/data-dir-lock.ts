import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readlinkSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { CodedError, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { isAlive, processRef } from '../../base/process-ref.ts';
import { readOptional } from '../identity/host-uuid.ts';

/*
 * One daemon at a time serves from a data directory: two would announce two addresses of one host in turn,
 * and deliver one spool twice. The lock belongs to an open file (flock(2)), not to a process: a successor
 * inherits it together with the listeners and shares it until its predecessor releases it. The kernel frees
 * it when the last holder is gone, however it ended, and process ids play no part. Over NFS Linux asks the
 * server for it (since 2.6.12), so that it also holds between machines, unless the mount has `local_lock`.
 */

export interface DataDirLock {
  /** For a successor; undefined when there is no lock to share. */
  readonly fd: number | undefined;
  /** Records that this process holds it, for the error message of another daemon. */
  sign(): void;
  /** Releases it: another daemon, or the successor alone, may have it. May be called again. */
  release(): void;
}

/** The result of asking for the lock. */
type Asked =
  | { readonly status: 'held' }
  | { readonly status: 'busy' }
  /** No lock is possible: no such program, or a file system without locks. */
  | { readonly status: 'impossible'; readonly why: string };

export interface LockOptions {
  /** The lock of the predecessor, an open file; undefined: none was handed over. */
  readonly inherited: number | undefined;
  /** A predecessor of a release without locks may still hold what it got from its own predecessor. */
  readonly hasPredecessor: boolean;
  readonly sink: LogSink;
  /** Asks the system, without waiting. */
  readonly ask?: (fd: number) => Asked;
}

const pathOf = (dataDir: string): string => join(dataDir, 'daemon.lock');

/**
 * Takes the lock of a data directory, which must exist. Where locks are not possible it warns and continues.
 * @throws CodedError `misconfigured` when another daemon has it, naming the process, or when the inherited
 *   lock is that of another directory.
 */
export function lockDataDir(dataDir: string, options: LockOptions): DataDirLock {
  const { inherited, hasPredecessor, sink, ask = askFlock } = options;
  const path = pathOf(dataDir);
  if (inherited !== undefined) refuseOtherDirectory(inherited, dataDir);
  const fd = inherited ?? openLockFile(path);
  const asked = ask(fd);
  if (asked.status === 'held') return holding(fd, sink);
  closeSync(fd);
  if (asked.status === 'busy' && !hasPredecessor) throw inUse(dataDir, path);
  const why = asked.status === 'busy' ? 'the previous process still has the lock' : asked.why;
  sink.warn(`nothing keeps a second daemon from ${dataDir} while this one runs`, { reason: why });
  return { fd: undefined, sign: () => undefined, release: () => undefined };
}

/**
 * The successor must be the same machine as before: in another directory it would be a new one, and a new
 * cluster if it is an auth server, behind the listeners of the old one.
 */
function refuseOtherDirectory(inherited: number, dataDir: string): void {
  const [held, there] = [fstatSync(inherited), statSync(pathOf(dataDir), { throwIfNoEntry: false })];
  if (held.dev === there?.dev && held.ino === there.ino) return;
  const before = dirname(readlinkSync(`/proc/self/fd/${inherited}`));
  throw new CodedError(
    'misconfigured',
    `data_dir is ${dataDir} now, but the previous process serves from ${before}: a reload cannot change it. Set it back, ` +
      'or stop the daemon, move the directory, and start it again',
  );
}

function openLockFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (e) {
    throw new CodedError('misconfigured', `cannot open the lock ${path}: ${messageOf(e)}`, { cause: e });
  }
}

/**
 * As flock(1) of util-linux and busybox does it on a descriptor: 0 when it is ours now, 1 without output when
 * another process has it.
 */
function askFlock(fd: number): Asked {
  const { status, signal, error, stderr } = spawnSync('flock', ['-x', '-n', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    encoding: 'utf8',
  });
  if (error !== undefined) return { status: 'impossible', why: `flock: ${error.message}` };
  if (status === 0) return { status: 'held' };
  const said = stderr.trim();
  if (status === 1 && said === '') return { status: 'busy' };
  return {
    status: 'impossible',
    why: said === '' ? `flock ended with ${signal ?? `status ${status}`}` : said,
  };
}

function holding(fd: number, sink: LogSink): DataDirLock {
  let open = true;
  return {
    fd,
    sign: () => {
      if (!open) return;
      try {
        ftruncateSync(fd);
        writeSync(fd, `${JSON.stringify(processRef(process.pid))}\n`, 0);
      } catch (e) {
        sink.debug('who holds the lock of the data directory could not be written down', {
          reason: messageOf(e),
        });
      }
    },
    release: () => {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

const holder = z.object({ pid: z.number().int(), startTime: z.string() });

function inUse(dataDir: string, path: string): CodedError {
  return new CodedError(
    'misconfigured',
    `${dataDir} is in use by ${whoHolds(path)}: two daemons cannot share a data directory. Stop that one first ` +
      '(to read changed files it needs no second start: systemctl reload, or HUP), or give this one a data_dir of its own',
  );
}

/**
 * The holder recorded its process id when it began to serve; an id of another machine or container means
 * nothing here.
 */
function whoHolds(path: string): string {
  try {
    const found = holder.parse(JSON.parse(readOptional(path) ?? ''));
    return isAlive(found)
      ? `process ${found.pid}`
      : `another process (the last to serve was ${found.pid}, which is not seen here: of another machine or container, or followed by one that starts)`;
  } catch {
    return 'another process, which is starting';
  }
}

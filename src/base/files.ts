import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, messageOf } from './errors.ts';

/**
 * Writes a file so that a reader sees the old text or the new, never a part: temporary name, fsync, rename.
 * The directory must exist. A link at `path` is replaced, what it points to is not touched.
 * @throws CodedError `no_space` when the disk is full; nothing has changed then.
 */
export function writeFileAtomic(path: string, data: string | Uint8Array, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  // Left by a dead process with this id, or put there by somebody so that we write through it, or kept open.
  rmSync(temporary, { force: true });
  const fd = openSync(temporary, 'wx', mode);
  try {
    fchmodSync(fd, mode); // whatever our umask
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
    renameSync(temporary, path);
  } catch (e) {
    rmSync(temporary, { force: true });
    throw isFull(e)
      ? new CodedError('no_space', `cannot write ${path}: ${messageOf(e)}: free space on its file system`, {
          cause: e,
        })
      : e;
  } finally {
    closeSync(fd);
  }
  syncFolderNow(dirname(path));
}

/** As `syncFolder` (`durable-files.ts`), before it returns. */
export function syncFolderNow(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const isFull = (e: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((e as NodeJS.ErrnoException).code ?? '');

/**
 * Makes a directory that only its owner may enter (0700).
 * @throws CodedError `misconfigured` when it exists and others can read or write it, or another user owns it;
 * the message names the command that corrects it. Also when it is on a read-only file system.
 */
export function ensurePrivateDirectory(path: string, uid: number | undefined = process.getuid?.()): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (e) {
    // Node reports a read-only file system as if something were missing.
    let found = dirname(path);
    while (!existsSync(found)) found = dirname(found);
    refuseReadOnly(path, found);
    throw new CodedError('misconfigured', `cannot make the directory ${path}: ${messageOf(e)}`, { cause: e });
  }
  const info = statSync(path);
  if (!info.isDirectory()) throw new CodedError('misconfigured', `${path} is not a directory`);
  if (uid !== undefined && info.uid !== uid)
    throw new CodedError(
      'misconfigured',
      `${path} belongs to uid ${info.uid}, but this process runs as uid ${uid}: run as that user, or: chown -R ${uid} ${path}`,
    );
  if ((info.mode & 0o077) !== 0)
    throw new CodedError(
      'misconfigured',
      `${path} can be read or written by others (mode ${(info.mode & 0o777).toString(8).padStart(4, '0')}): chmod 0700 ${path}`,
    );
  refuseReadOnly(path);
}

function refuseReadOnly(path: string, found = path): void {
  try {
    accessSync(found, constants.W_OK);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'EROFS') return;
    throw new CodedError(
      'misconfigured',
      `${path} is on a file system that is mounted read-only: mount it writable, or name another directory`,
      { cause: e },
    );
  }
}

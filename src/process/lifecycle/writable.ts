import { closeSync, constants, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import { standardStreamOf } from '../logging/logger.ts';

/*
 * Files that a daemon writes once it serves are tested before it opens anything: a successor that failed
 * later would already have taken over from a process that served.
 */

/**
 * Makes sure that a file can be put at `path` by rename, with space for a few bytes; an existing file stays.
 * @param what names the file's purpose in the error, and its key.
 * @throws CodedError `misconfigured`
 */
export function requireReplaceable(path: string, what: string): void {
  const refuse = (why: string, cause?: unknown): CodedError =>
    new CodedError('misconfigured', `cannot write ${what} ${path}: ${why}`, { cause });
  const folder = statSync(dirname(path), { throwIfNoEntry: false });
  if (folder === undefined)
    throw refuse(`there is no folder ${dirname(path)}: make it, or name another file`);
  if (!folder.isDirectory()) throw refuse(`${dirname(path)} is not a folder`);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) throw refuse('it is a folder');
  const trial = `${path}.${process.pid}.trial`;
  try {
    writeFileAtomic(trial, String(process.pid), 0o600);
  } catch (e) {
    throw refuse(messageOf(e), e);
  } finally {
    rmSync(trial, { force: true });
  }
}

/** So that opening does not wait for the reader of a named pipe. */
const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/**
 * Makes sure that a file can be opened to append to; it is made when missing. @throws CodedError
 * `misconfigured`
 */
function requireAppendable(path: string, what: string): void {
  try {
    closeSync(openSync(path, appending, 0o600));
  } catch (e) {
    // A full disk, or a pipe without a reader yet, is not an error of the configuration: log lines wait for
    // it.
    if (['ENOSPC', 'EDQUOT', 'ENXIO'].includes((e as NodeJS.ErrnoException).code ?? '')) return;
    throw new CodedError('misconfigured', `${what}: cannot write ${path}: ${messageOf(e)}`, { cause: e });
  }
}

/**
 * The file that `log.output` names, if it names one; whether its folder exists is checked when the log is
 * opened.
 */
export function requireLogFile(output: string): void {
  const isFile = standardStreamOf(output) === undefined && output !== 'syslog';
  if (isFile && statSync(dirname(output), { throwIfNoEntry: false })?.isDirectory() === true)
    requireAppendable(output, 'log.output');
}

import { closeSync, constants, openSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import { standardStreamOf } from '../logging/logger.ts';

/*
 * What a daemon writes when it has come to serve is tried before it opens anything: a successor that finds
 * out later has taken over from one that served.
 */

/**
 * Makes sure that a file can be put at `path` by rename, with room for a few bytes; what is there stays.
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

/** Not to wait for the reader of a named pipe. */
const appending = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/**
 * Makes sure that a file can be opened to append to; it is made when missing. @throws CodedError
 * `misconfigured`
 */
function requireAppendable(path: string, what: string): void {
  try {
    closeSync(openSync(path, appending, 0o600));
  } catch (e) {
    // A full disk, or a pipe that nobody reads yet, is no mistake of the configuration: what is logged waits
    // for it.
    if (['ENOSPC', 'EDQUOT', 'ENXIO'].includes((e as NodeJS.ErrnoException).code ?? '')) return;
    throw new CodedError('misconfigured', `${what}: cannot write ${path}: ${messageOf(e)}`, { cause: e });
  }
}

/**
 * The file that `log.output` names, if it is one; that its folder is there is seen when the log is opened.
 */
export function requireLogFile(output: string): void {
  const isFile = standardStreamOf(output) === undefined && output !== 'syslog';
  if (isFile && statSync(dirname(output), { throwIfNoEntry: false })?.isDirectory() === true)
    requireAppendable(output, 'log.output');
}

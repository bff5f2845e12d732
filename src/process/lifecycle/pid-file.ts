import { rmSync } from 'node:fs';
import { CodedError, messageOf } from '../../base/errors.ts';
import { writeFileAtomic } from '../../base/files.ts';
import { readOptional } from '../identity/host-uuid.ts';

/**
 * Digits only, written when everything serves.
 * @throws CodedError `misconfigured` when it cannot be written.
 */
export function writePidFile(path: string | undefined): void {
  if (path === undefined) return;
  try {
    writeFileAtomic(path, String(process.pid), 0o644);
  } catch (e) {
    throw new CodedError('misconfigured', `cannot write the pid file ${path}: ${messageOf(e)}`, { cause: e });
  }
}

/** Whether it names this process. */
export const isOwnPidFile = (path: string | undefined): boolean =>
  path !== undefined && readOptional(path)?.trim() === String(process.pid);

/** Only our own: a successor may have taken the file over. */
export function removePidFile(path: string | undefined): void {
  if (path !== undefined && isOwnPidFile(path)) rmSync(path);
}

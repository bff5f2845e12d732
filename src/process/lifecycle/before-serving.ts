import { existsSync, rmdirSync } from 'node:fs';
import { ensurePrivateDirectory } from '../../base/files.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { checkAuthRole } from './auth-role.ts';
import type { Configuration } from '../configuration/configuration.ts';
import { type DataDirLock, lockDataDir } from './data-dir-lock.ts';
import type { Inheritance } from './inheritance.ts';
import { openSecrets } from '../store/open-secrets.ts';
import { removeLeftFiles } from './left-files.ts';
import { warnOnStandardError } from '../logging/standard-error.ts';
import { requireReplaceable } from './writable.ts';

/**
 * Checks before this process touches anything that may belong to a running one: who it is in a cluster,
 * whether it can write what it will have to, and that no other daemon has its data directory.
 * @returns the lock, to be released by the caller.
 * @throws CodedError `misconfigured`; nothing has been changed then.
 */
export function settleBeforeServing(
  configuration: Configuration,
  inheritance: Inheritance,
  sink: LogSink,
): DataDirLock {
  const { dataDir, pidFile, log } = configuration;
  const doubt = checkAuthRole(configuration.authRole, dataDir);
  for (const warning of [...(doubt === undefined ? [] : [doubt]), ...openSecrets(configuration)])
    warnOnStandardError(warning, sink, log);
  const isNew = !existsSync(dataDir);
  ensurePrivateDirectory(dataDir);
  try {
    if (pidFile !== undefined) requireReplaceable(pidFile, 'the pid file');
    const lock = lockDataDir(dataDir, {
      inherited: inheritance.lock,
      hasPredecessor: inheritance.hasPredecessor,
      sink,
    });
    const left = removeLeftFiles(dataDir);
    if (left.length > 0)
      sink.info('files that a killed process had not put in place were removed', { dataDir, files: left });
    return lock;
  } catch (e) {
    if (isNew) removeIfEmpty(dataDir);
    throw e;
  }
}

/** Files that another daemon, started at the same moment, has already put there stay. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (e) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes((e as NodeJS.ErrnoException).code ?? '')) throw e;
  }
}

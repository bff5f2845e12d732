import { accessSync, constants, existsSync, readdirSync, statSync } from 'node:fs';
import { CodedError, messageOf } from '../../base/errors.ts';
import { ensurePrivateDirectory } from '../../base/files.ts';
import type { StorageLocation } from '../configuration/storage-schema.ts';

/** What a log's directory may hold: SQLite's files, and the file of hints. */
const ours = /^(log\.db(-(wal|shm|journal))?|hint)$/;

/**
 * Checks the target of a log, as far as possible without opening it; changes nothing. A directory must exist,
 * so that a mistyped path is refused and not created.
 * @throws CodedError `not_found`, `misconfigured`, `already_exists`: naming the place, and what to do.
 */
export function checkTargetPlace(target: StorageLocation): void {
  if (target.type !== 'dir') return;
  const { path } = target;
  if (!existsSync(path))
    throw new CodedError(
      'not_found',
      `there is no directory ${path}: correct the name, or make it first: mkdir -m 0700 ${path}`,
    );
  if (!statSync(path).isDirectory()) throw new CodedError('misconfigured', `${path} is not a directory`);
  ensurePrivateDirectory(path);
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (e) {
    throw new CodedError('misconfigured', `${path} cannot be written: ${messageOf(e)}`, { cause: e });
  }
  const others = readdirSync(path).filter((name) => !ours.test(name));
  if (others.length > 0)
    throw new CodedError(
      'already_exists',
      `${path} is not empty (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}): name an empty directory`,
    );
}

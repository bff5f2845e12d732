import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CodedError } from '../../src/base/errors.ts';
import { Database, databaseName } from './database.ts';

/**
 * Opens a store so that nothing in its directory is made or changed, whether a daemon uses it, has left it or was
 * killed:
 * - with a write-ahead file and its index (in use, or left by a kill): both are read, and not written to;
 * - with a write-ahead file alone (a copy made by hand): in a private copy, as the index would have to be made;
 * - with neither (closed in order): the file is complete as it is.
 * Source: sqlite.org/wal.html, "Read-Only Databases"; `readonly_shm` in os_unix.c.
 */
export function openForReading(directory: string): { database: Database; release: () => void } {
  const path = join(directory, databaseName);
  if (!existsSync(path))
    throw new CodedError('not_found', `there is no log in ${directory}: ${databaseName} is missing`);
  const hasWal = (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
  const hasIndex = existsSync(`${path}-shm`);
  if (hasWal && !hasIndex) return openCopy(path);
  const database = new Database(
    directory,
    withParameter(path, hasIndex ? 'readonly_shm' : 'immutable'),
    'read',
  );
  return { database, release: () => undefined };
}

function openCopy(path: string): { database: Database; release: () => void } {
  const copy = mkdtempSync(join(tmpdir(), 'log-copy-'));
  const release = (): void => {
    rmSync(copy, { recursive: true, force: true });
  };
  try {
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, join(copy, databaseName + suffix));
    return { database: new Database(copy, join(copy, databaseName), 'read'), release };
  } catch (e) {
    release();
    throw e;
  }
}

function withParameter(path: string, name: string): URL {
  const url = pathToFileURL(path);
  url.searchParams.set(name, '1');
  return url;
}

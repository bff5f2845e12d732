import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CodedError } from '../../src/base/errors.ts';
import { Connection, databaseName } from './connection.ts';

/** The files changed during this many attempts: that is not a daemon that starts or stops. */
const maxAttempts = 50;

/** A way to read the store, and whether its assumptions are still true. */
interface Look {
  readonly connection: Connection;
  /** Whether anything read since it was opened may be incomplete or outdated. */
  readonly isOver: () => boolean;
  readonly release: () => void;
}

/**
 * Reads a store so that nothing in its directory is made or changed, whether a daemon uses it, has left it,
 * was killed, or starts or ends meanwhile:
 * - with SQLite's index (in use, or left by a kill): it and the write-ahead file are read, under SQLite's
 *   locks;
 * - with a write-ahead file alone (a copy made by hand): in a private copy, as the index would have to be
 *   made;
 * - with neither (closed in order): the file is complete as it is, and is read without locks.
 * In the last two SQLite does not learn of a daemon that starts. That is seen afterwards, by the files: a
 * daemon makes the index before it writes, and leaves other times on the file when it has ended. What was
 * read is then thrown away, be it an answer or an error, and read again in the way that is right by now.
 * Source: sqlite.org/wal.html, "Read-Only Databases"; `readonly_shm` in os_unix.c.
 */
export class FollowingReader {
  readonly #directory: string;
  #look: Look;

  /** @throws CodedError `not_found` when there is no log */
  constructor(directory: string) {
    this.#directory = directory;
    this.#look = openLook(directory);
  }

  read<T>(act: (connection: Connection) => T): T {
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const outcome = outcomeOf(() => act(this.#look.connection));
      if (!this.#look.isOver()) return outcome();
      this.#look.release();
      this.#look = openLook(this.#directory);
    }
    throw changing(this.#directory);
  }

  close(): void {
    this.#look.release();
  }
}

function openLook(directory: string): Look {
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const files = filesOf(directory);
    const outcome = outcomeOf(() => lookAt(directory, files));
    // A daemon that ends may remove its files between our check and opening.
    if (same(files, filesOf(directory))) return outcome();
    outcomeOf(() => {
      outcome().release();
    });
  }
  throw changing(directory);
}

function lookAt(directory: string, files: Files): Look {
  const path = join(directory, databaseName);
  if (files.log === undefined)
    throw new CodedError('not_found', `there is no log in ${directory}: ${databaseName} is missing`);
  const isOver = (): boolean => !same(files, filesOf(directory));
  if (files.hasIndex) {
    const connection = new Connection(directory, withParameter(path, 'readonly_shm'), 'read');
    const { inode } = files;
    return {
      connection,
      isOver: () => filesOf(directory).inode !== inode,
      release: () => {
        connection.close();
      },
    };
  }
  if (files.ahead !== undefined) return { ...openCopy(path), isOver };
  const connection = new Connection(directory, withParameter(path, 'immutable'), 'read');
  return {
    connection,
    isOver,
    release: () => {
      connection.close();
    },
  };
}

function openCopy(path: string): Omit<Look, 'isOver'> {
  const copy = mkdtempSync(join(tmpdir(), 'log-copy-'));
  const forget = (): void => {
    rmSync(copy, { recursive: true, force: true });
  };
  try {
    for (const suffix of ['', '-wal']) copyFileSync(path + suffix, join(copy, databaseName + suffix));
    const connection = new Connection(copy, join(copy, databaseName), 'read');
    return {
      connection,
      release: () => {
        connection.close();
        forget();
      },
    };
  } catch (e) {
    forget();
    throw e;
  }
}

/** What the files show about writers, current or past. */
interface Files {
  readonly log: string | undefined;
  readonly inode: bigint | undefined;
  /** A write-ahead file with something in it. */
  readonly ahead: string | undefined;
  readonly hasIndex: boolean;
}

function filesOf(directory: string): Files {
  const path = join(directory, databaseName);
  const look = (suffix: string) => statSync(path + suffix, { throwIfNoEntry: false, bigint: true });
  const [log, ahead, index] = [look(''), look('-wal'), look('-shm')];
  const print = (of: typeof log): string | undefined =>
    of && `${of.dev} ${of.ino} ${of.size} ${of.mtimeNs} ${of.ctimeNs}`;
  return {
    log: print(log),
    inode: log?.ino,
    ahead: ahead && ahead.size > 0n ? print(ahead) : undefined,
    hasIndex: index !== undefined,
  };
}

/** With an index SQLite's own locks show what is complete, and only another file is another log. */
const same = (one: Files, other: Files): boolean =>
  one.hasIndex && other.hasIndex
    ? one.inode === other.inode
    : one.hasIndex === other.hasIndex && one.log === other.log && one.ahead === other.ahead;

function outcomeOf<T>(act: () => T): () => T {
  try {
    const answer = act();
    return () => answer;
  } catch (e) {
    return () => {
      throw e;
    };
  }
}

const changing = (directory: string): CodedError =>
  new CodedError('unavailable', `the files of the log in ${directory} change again and again: try again`);

function withParameter(path: string, name: string): URL {
  const url = pathToFileURL(path);
  url.searchParams.set(name, '1');
  return url;
}

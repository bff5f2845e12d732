import { constants, fstatSync, write as writeFd } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { second } from '../../base/duration.ts';

/** Where the lines of a log go: a file, or a stream that this process was started with. */
export interface LogTarget {
  /** Resolves with the number of bytes that were accepted, from the first on. Rejects when none was. */
  write(bytes: Uint8Array): Promise<number>;
  /**
   * To be called between two writes: `another` when the next writes go elsewhere, because the file was
   * renamed, deleted, or could not be written.
   */
  refresh(): Promise<'same' | 'another'>;
  /** The next `refresh` checks again, however recent the last one was. */
  lookAgain(): void;
  close(): Promise<void>;
}

/** How long a renamed file may still be written to. */
const lookEveryMs = second;
/** So that opening does not wait for ever for the reader of a named pipe; it has no effect on other files. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** A file by its name: a file that logrotate has renamed is closed, and a new one made. `clock` in ms. */
export function fileTarget(path: string, clock: () => number): LogTarget {
  let file: FileHandle | undefined;
  let lookedAt = -Infinity;
  const letGo = async (): Promise<void> => {
    const old = file;
    file = undefined;
    await old?.close().catch(() => undefined); // its lines were written, or will be written again
  };
  const isStill = async (handle: FileHandle): Promise<boolean> => {
    // A file that a file server has forgotten (ESTALE) cannot be written to.
    const [here, there] = await Promise.all([
      handle.stat().catch(() => undefined),
      stat(path).catch(() => undefined),
    ]);
    return here !== undefined && here.dev === there?.dev && here.ino === there.ino;
  };
  return {
    write: async (bytes) => {
      file ??= await open(path, flags, 0o600);
      return (await file.write(bytes)).bytesWritten;
    },
    refresh: async () => {
      if (file === undefined) return 'another';
      if (clock() - lookedAt < lookEveryMs) return 'same';
      lookedAt = clock();
      if (await isStill(file)) return 'same';
      await letGo();
      return 'another';
    },
    lookAgain: () => {
      lookedAt = -Infinity;
    },
    close: letGo,
  };
}

const writeOnce = promisify(writeFd);

/** The part of Node's streams that is used here. */
interface ByteStream {
  write(bytes: Uint8Array, done: (e?: Error | null) => void): boolean;
}

/**
 * Standard output or error, which stay open. A file is written by us, since Node's stream does not say how
 * much a full disk took.
 */
export function standardTarget(
  fd: number,
  stream: ByteStream = fd === 1 ? process.stdout : process.stderr,
): LogTarget {
  const throughStream = (bytes: Uint8Array): Promise<number> =>
    new Promise((resolve, reject) => {
      stream.write(bytes, (e) => {
        if (e === undefined || e === null) resolve(bytes.length);
        else reject(e);
      });
    });
  return {
    write: isFile(fd)
      ? async (bytes) => (await writeOnce(fd, bytes, 0, bytes.length, null)).bytesWritten
      : throughStream,
    refresh: () => Promise.resolve('same'),
    lookAgain: () => undefined,
    close: () => Promise.resolve(),
  };
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return false; // it is closed: the next write reports that
  }
}

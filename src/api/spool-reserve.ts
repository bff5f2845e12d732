import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAlive } from '../base/process-ref.ts';

/**
 * File space that is allocated while there is some, to be written in place when a disk is full. Nobody else
 * can take it in between, as could happen if a file were deleted first. (A copy-on-write file system cannot
 * reserve space like this; there the first write into it fails as any other.)
 */
export interface Reserve {
  readonly bytes: number;
  /** Allocates it unless that is done. Rejects with the error of a disk that has no space for it. */
  prepare(): Promise<void>;
  /** Writes a little and deletes it. Rejects with the error of a disk that accepts nothing. */
  tryDisk(): Promise<void>;
  /** The file, empty to a reader, under this name from now on; undefined when there is no reserve. */
  take(path: string): Promise<FileHandle | undefined>;
  /** The file that was taken stays as it is: another reserve may be allocated. */
  letGo(): void;
  /**
   * Everything that was written into the file that was taken, `used` bytes, was read: it becomes the reserve
   * again, if the disk allows it.
   */
  giveBack(taken: { readonly file: FileHandle; readonly path: string }, used: number): Promise<void>;
  close(): Promise<void>;
}

const reserveName = /^(?:reserve|probe)-(\d+)\.(\d+)-([0-9a-f]{8})$/;
const chunk = Buffer.alloc(64 * 1024);

/** @param owner the process, as in the names of the spool's own files. */
export function openReserve(
  directory: string,
  { owner, unique }: { readonly owner: string; readonly unique: string },
  bytes: number,
): Reserve {
  const ownPath = join(directory, `reserve-${owner}-${unique}`);
  const probePath = join(directory, `probe-${owner}-${unique}`);
  let spare: FileHandle | undefined;
  let taken = false;
  const prepare = async (): Promise<void> => {
    if (bytes === 0 || spare !== undefined || taken) return;
    const file = await open(ownPath, 'w+', 0o600);
    try {
      await zero(file, bytes);
      spare = file;
    } catch (e) {
      await file.close();
      await rm(ownPath, { force: true });
      throw e;
    }
  };
  return {
    bytes,
    prepare,
    tryDisk: async () => {
      try {
        const file = await open(probePath, 'w', 0o600);
        await zero(file, chunk.length).finally(() => file.close());
      } finally {
        await rm(probePath, { force: true });
      }
    },
    take: async (path) => {
      if (spare === undefined) return undefined;
      await rename(ownPath, path);
      const file = spare;
      spare = undefined;
      taken = true;
      return file;
    },
    letGo: () => {
      taken = false;
    },
    giveBack: async ({ file, path }, used) => {
      taken = false;
      try {
        await rename(path, ownPath);
        await zero(file, used);
        spare = file;
      } catch {
        // `prepare` tries again, and reports why when it cannot.
        await file.close();
        await rm(path, { force: true });
        await rm(ownPath, { force: true });
      }
    },
    close: async () => {
      if (spare === undefined) return;
      await spare.close();
      spare = undefined;
      await rm(ownPath, { force: true });
    },
  };
}

/** Writes zeros from the beginning on, and waits until they are on the disk. */
async function zero(file: FileHandle, bytes: number): Promise<void> {
  for (let at = 0; at < bytes;)
    at += (await file.write(chunk, 0, Math.min(chunk.length, bytes - at), at)).bytesWritten;
  await file.datasync();
}

/** Deletes the reserves of processes that are gone. `isOurs` recognises the open ones of this process. */
export async function removeOldReserves(
  directory: string,
  isOurs: (unique: string) => boolean,
): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, pid = '', startTime = '', unique = ''] = reserveName.exec(name) ?? [];
    if (pid === '') continue;
    const alive = Number(pid) === process.pid ? isOurs(unique) : isAlive({ pid: Number(pid), startTime });
    if (!alive) await rm(join(directory, name), { force: true });
  }
}

/** The content read from a file, without the part of a reserve that was never written. */
export function withoutReserve(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.subarray(0, end);
}

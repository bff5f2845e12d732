import { type FileHandle, open } from 'node:fs/promises';

/**
 * That a name in this folder is new, has another file, or is gone, is on the disk when it resolves: otherwise
 * a power failure could take that back.
 */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * The bytes are on the disk when it resolves, in a file for its owner alone; the name of a new file is after
 * `syncFolder`.
 */
export async function writeDurably(path: string, bytes: Uint8Array, flags: 'a' | 'w' | 'wx'): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** So many bytes from there on; fewer where the file ends before. */
export async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(bytes, read, length - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}

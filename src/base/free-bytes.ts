import { statfsSync } from 'node:fs';

/**
 * What a process of this user can still write on the file system of `path`, in bytes. @throws when it cannot
 * be asked.
 */
export function freeBytesOf(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

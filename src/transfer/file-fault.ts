import { getSystemErrorMessage } from 'node:util';

/**
 * Whether the file system failed, after which the rest can still be copied; not so after a broken connection.
 */
export const isFileFault = (e: unknown): e is NodeJS.ErrnoException => e instanceof Error && 'syscall' in e;

/** `/etc/x: Permission denied`, as scp(1) prints it. */
export function fileFaultText(path: string, e: unknown): string {
  if (!isFileFault(e) || e.errno === undefined)
    return `${path}: ${e instanceof Error ? e.message : String(e)}`;
  const text = getSystemErrorMessage(e.errno);
  return `${path}: ${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '../../base/durable-files.ts';
import { CodedError } from '../../base/errors.ts';

const { O_APPEND, O_CREAT, O_RDWR } = constants;
const newline = 0x0a;

/**
 * Appends one line and has it on disk when it resolves. The file is made with mode 0600, and opened for each
 * line, so that it may be moved away. A line that a crash left half written is ended first.
 * @throws CodedError `misconfigured` for a path that is not a file, or one that others may write to.
 */
export async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, O_RDWR | O_APPEND | O_CREAT, 0o600);
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new CodedError('misconfigured', `${path} is not a file`);
    if ((info.mode & 0o022) !== 0)
      throw new CodedError('misconfigured', `others may write to ${path}: chmod 0600 ${path}`);
    const begun = info.size > 0 && (await lastByte(file, info.size)) !== newline;
    await file.appendFile(`${begun ? '\n' : ''}${line}\n`);
    await file.sync();
    if (info.size === 0) await syncFolder(dirname(path));
  } finally {
    await file.close();
  }
}

async function lastByte(file: FileHandle, size: number): Promise<number | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 ? buffer[0] : undefined;
}

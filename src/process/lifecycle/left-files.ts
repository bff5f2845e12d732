import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { processRef } from '../../base/process-ref.ts';

/**
 * As `writeFileAtomic` and `pendingKey` name what they are about to put in place: `<name>.<pid>[.<pid>].tmp`.
 */
const halfWritten = /\.(?<pid>\d+)(?:\.tmp)?$/;

/**
 * Removes files of `data_dir/proc` that a process has not put in place because it was killed: they may hold
 * private keys. Those of a process that is alive stay, as do folders. Call it with the lock of the directory.
 * @returns their names.
 */
export function removeLeftFiles(
  dataDir: string,
  isAlive = (pid: number) => processRef(pid) !== undefined,
): string[] {
  const folder = join(dataDir, 'proc');
  const left = namesIn(folder).filter((name) => {
    const pid = halfWritten.exec(name)?.groups?.['pid'];
    return pid !== undefined && !isAlive(Number(pid)) && statSync(join(folder, name)).isFile();
  });
  for (const name of left) rmSync(join(folder, name), { force: true });
  return left;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e;
    return [];
  }
}

import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeDurably } from '../base/durable-files.ts';

/* Operations of a spool on whole files. */

/** The damaged lines are first copied, then removed from the file. */
export async function rewrite(
  path: string,
  good: readonly string[],
  damaged: readonly Buffer[],
): Promise<void> {
  await writeDurably(
    `${path}.damaged`,
    Buffer.concat(damaged.flatMap((line) => [line, Buffer.from('\n')])),
    'a',
  );
  if (good.length === 0) {
    await remove(path);
    return;
  }
  await writeDurably(`${path}.tmp`, Buffer.from(good.join('')), 'w');
  await rename(`${path}.tmp`, path);
  await syncFolder(dirname(path));
}

export async function remove(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

/**
 * A file whose records were delivered, and which contains other records that cannot be read: keeping it needs
 * no space.
 */
export async function keepDamaged(path: string): Promise<void> {
  await rename(path, `${path}.damaged-whole`);
  await syncFolder(dirname(path));
}

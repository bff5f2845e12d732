import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/* Operations of a spool on whole files. */

/** The damaged lines are first copied, then removed from the file. */
export async function rewrite(
  path: string,
  good: readonly string[],
  damaged: readonly Buffer[],
): Promise<void> {
  await writeDurable(
    `${path}.damaged`,
    Buffer.concat(damaged.flatMap((line) => [line, Buffer.from('\n')])),
    'a',
  );
  if (good.length === 0) {
    await remove(path);
    return;
  }
  await writeDurable(`${path}.tmp`, Buffer.from(good.join('')), 'w');
  await rename(`${path}.tmp`, path);
  await syncDirectory(path);
}

async function writeDurable(path: string, bytes: Uint8Array, flags: 'a' | 'w'): Promise<void> {
  const file = await open(path, flags, 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function remove(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(path);
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(join(path, '..'), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/**
 * A file whose records were delivered, and which contains other records that cannot be read: keeping it needs
 * no space.
 */
export async function keepDamaged(path: string): Promise<void> {
  await rename(path, `${path}.damaged-whole`);
  await syncDirectory(path);
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { type Imported, importLog } from './archive-import.ts';
import { openArchive } from './archive-read.ts';
import { exportLog } from './archive-write.ts';
import { add, cause, fact, open } from './copy-testing.ts';
import { memoryDriver, memoryStore, type MemoryStore } from './memory-driver.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'archive-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/**
 * A log of which nothing was trimmed, with a snapshot of a view: what the snapshot holds could be folded as
 * well.
 */
async function logWithView(): Promise<MemoryStore> {
  const store = memoryStore();
  const log = await open(store);
  await add(log, 'state', 'a-1', fact(1));
  const views = [{ name: 'seen', position: 2, state: { roles: ['auditor'] } }];
  await log.takeSnapshot('state', views, { trim: false }, cause);
  await log.close();
  return store;
}

async function moved(source: MemoryStore, target: MemoryStore): Promise<Imported> {
  const path = join(directory, 'log.archive');
  await exportLog(path, {
    source: memoryDriver(source),
    from: 'the old place',
    exportedAt: cause.at,
    secrets: true,
    storeKeys: false,
  });
  const archive = await openArchive(path);
  try {
    const to = { target: memoryDriver(target), to: 'the store', world: realWorld, patienceMs: 0 };
    return await importLog({ archive, ...to });
  } finally {
    await archive.close();
  }
}

it('brings a snapshot with the log that it is of', async () => {
  const [source, target] = [await logWithView(), memoryStore()];
  expect(await moved(source, target)).toMatchObject({ status: 'whole' });
  expect([...target.snapshots.keys()].some((key) => key.endsWith('view/seen'))).toBe(true);
});

it('takes no archive with a damaged snapshot, though its file is whole, and names it', async () => {
  const [source, target] = [await logWithView(), memoryStore()];
  for (const [key, value] of source.snapshots)
    if (key.endsWith('view/seen'))
      source.snapshots.set(
        key,
        value.map((byte) => byte ^ 1),
      );
  await expect(moved(source, target)).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringMatching(/^the archive: the snapshot of state at slot \d+: /) as string,
  });
  expect(target.slots.size + target.vault.size + target.snapshots.size).toBe(0);
});

import { fakeWorld } from '../api/testing.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryObjects } from '../base/memory-objects.ts';
import { importLog } from './archive-import.ts';
import { openArchive } from './archive-read.ts';
import { exportLog } from './archive-write.ts';
import { copyLog } from './copy.ts';
import type { ClusterLog } from './event-log.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { moveLog } from './move.ts';
import { ArchiveBench } from './segment-testing.ts';
import { verifyLog } from './verify.ts';

let directory: string;
let bench: ArchiveBench;
let log: ClusterLog;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'archive-'));
  bench = new ArchiveBench(fakeWorld());
  log = await bench.open();
  await log.state.append(
    [{ stream: 'role-a', expected: 0, facts: [{ type: 'test.happened', data: {} }] }],
    bench.cause(),
  );
  await bench.write(log, 'session-a', 200);
  await bench.compactTwice(log);
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** Opened on another store, with the same archive, as an auth server would. */
async function expectWhole(store: MemoryStore): Promise<void> {
  const before = await bench.ids(log);
  const { keyring, world } = bench;
  const there = await bench.open({ driver: memoryDriver(store), keyring, world });
  expect(there.stats().audit.damage).toBeUndefined();
  expect((await bench.ids(there)).slice(0, 200)).toEqual(before.slice(0, 200));
  await bench.write(there, 'session-a', 1);
  const found = await verifyLog(memoryDriver(store), { archive: memoryObjects(bench.values) });
  expect([found.bad, found.findings]).toEqual([undefined, []]);
  expect(await there.audit.revision('session-a')).toBe(201);
}
const places = { from: 'here', to: 'there', progress: () => undefined, storeKeys: false };

describe('a log whose audit is in an archive', () => {
  it('is exported and imported with what the store has; the archive stays', async () => {
    const path = join(directory, 'log');
    await exportLog(path, {
      ...{ source: memoryDriver(bench.store), from: 'here', exportedAt: bench.world.now() },
      ...{ secrets: true, storeKeys: false },
    });
    const archive = await openArchive(path);
    const audit = archive.end.partitions.find(({ partition }) => partition === 'audit');
    expect(audit?.firstSlot).toBe(await bench.floor());
    // The file alone, and with the archive.
    for (const given of [{}, { archive: memoryObjects(bench.values) }])
      expect((await verifyLog(archive.driver, given)).bad).toBeUndefined();
    const target = memoryStore();
    const { world } = bench;
    await importLog({ archive, target: memoryDriver(target), to: 'there', world });
    await archive.close();
    await expectWhole(target);
  });

  it('is moved, and goes on with the same archive', async () => {
    const target = memoryStore();
    const { keyring, world } = bench;
    const stores = { source: memoryDriver(bench.store), target: memoryDriver(target) };
    await moveLog({ ...places, ...stores, keyring, world, cause: bench.cause() });
    await expectWhole(target);
  });

  it('is copied with what the store has', async () => {
    const target = memoryStore();
    const { keyring, world } = bench;
    await copyLog({
      ...places,
      source: memoryDriver(bench.store),
      target: memoryDriver(target),
      keyring,
      world,
    });
    const found = await verifyLog(memoryDriver(target), { archive: memoryObjects(bench.values) });
    expect(found.bad).toBeUndefined();
  });
});

import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { openDirectoryDriver, openDirectoryReader } from './open.ts';

let path: string;
const open: SlotDriver[] = [];
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'log-reader-'));
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((driver) => driver.close()));
  rmSync(path, { recursive: true, force: true });
});

const closing = (driver: SlotDriver): SlotDriver => {
  open.push(driver);
  return driver;
};
const writer = async (): Promise<SlotDriver> => closing(await openDirectoryDriver({ path }));
const reader = async (): Promise<SlotDriver> => closing(await openDirectoryReader({ path }));

const batch = (slot: number): Buffer => Buffer.alloc(3000, slot % 251);

async function grow(driver: SlotDriver, from: number, to: number): Promise<void> {
  for (let slot = from; slot <= to; slot++) {
    const hash = slot === 1 ? noHash : ownHash(batch(slot - 1));
    expect(await driver.append('state', { slot: slot - 1, hash }, batch(slot))).toEqual({
      status: 'committed',
    });
  }
}

/** Each slot that is stored, in order, with what was written into it. */
async function seen(driver: SlotDriver): Promise<{ floor: number; head: number }> {
  const found = await driver.bounds('state');
  const stored = await collect(driver.read('state', 1));
  expect(stored.map(({ slot }) => slot)).toEqual(
    Array.from({ length: found.head - found.floor + 1 }, (_, i) => found.floor + i),
  );
  for (const { slot, batch: bytes } of stored) expect(batch(slot).equals(bytes)).toBe(true);
  return found;
}

describe('looking at a store', () => {
  it('goes on with a daemon that starts, trims and ends meanwhile', async () => {
    const first = await writer();
    await grow(first, 1, 60);
    await first.close();
    const looking = await reader();
    expect(await seen(looking)).toEqual({ floor: 1, head: 60 });
    const daemon = await writer();
    await grow(daemon, 61, 90);
    await daemon.trim('state', 50);
    expect(await seen(looking)).toEqual({ floor: 50, head: 90 });
    await grow(daemon, 91, 92);
    expect(await seen(looking)).toEqual({ floor: 50, head: 92 });
    await daemon.close();
    expect(await seen(looking)).toEqual({ floor: 50, head: 92 });
  });

  it('is not deceived by a daemon that came and went between two looks', async () => {
    const first = await writer();
    await grow(first, 1, 60);
    await first.close();
    const looking = await reader();
    expect(await seen(looking)).toEqual({ floor: 1, head: 60 });
    const daemon = await writer();
    await grow(daemon, 61, 90);
    await daemon.trim('state', 50);
    await daemon.close();
    expect(readdirSync(path).sort()).toEqual(['hint', 'log.db']);
    expect(await seen(looking)).toEqual({ floor: 50, head: 90 });
    expect(readdirSync(path).sort()).toEqual(['hint', 'log.db']);
  });

  it('leaves its private copy when a daemon takes up what was copied by hand', async () => {
    const source = await writer();
    await grow(source, 1, 5);
    const from = path;
    path = join(from, 'copied');
    mkdirSync(path, { mode: 0o700 });
    for (const name of ['log.db', 'log.db-wal']) copyFileSync(join(from, name), join(path, name));
    const looking = await reader();
    expect(await seen(looking)).toEqual({ floor: 1, head: 5 });
    await grow(await writer(), 6, 9);
    expect(await seen(looking)).toEqual({ floor: 1, head: 9 });
    path = from;
  });
});

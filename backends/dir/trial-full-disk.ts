/*
 * A program for the tests beside it, run with a small file system of its own as argument: fills it, and
 * prints one line of JSON per observation.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCoded } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import type { Place } from '../../src/log/slot-driver.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { openDirectoryDriver, openDirectoryReader } from './open.ts';

const [disk = ''] = process.argv.slice(2);
const path = join(disk, 'log');
const log = await openLog({
  driver: await openDirectoryDriver({ path }),
  keyring: sharedTestKeyring,
  world: realWorld,
  writer: 'full-disk',
  sink: silentLog,
});
const tell = (what: string, value: unknown): void => {
  console.log(JSON.stringify({ what, value }));
};
const acknowledged = { state: 0, audit: 0 };

async function append(partition: 'state' | 'audit', facts: number, bytes: number): Promise<string> {
  const target: EventLog = log[partition];
  const fact = { type: 'trial.happened', data: { text: 'x'.repeat(bytes) } };
  try {
    const expected = acknowledged[partition];
    await target.append([{ stream: 'w-1', expected, facts: Array.from({ length: facts }, () => fact) }], {
      at: realWorld.now(),
      actor: 'user:trial',
      requestId: 'r1',
    });
    acknowledged[partition] += facts;
    return 'appended';
  } catch (e) {
    return isCoded(e) ? e.code : String(e);
  }
}

/** Leaves `share` of the disk free. */
function fill(share: number): void {
  const filler = join(disk, 'filler');
  rmSync(filler, { force: true });
  const { bavail, blocks, bsize } = statfsSync(disk);
  writeFileSync(filler, Buffer.alloc(Math.max(0, Math.floor(bavail - blocks * share) * bsize)));
}

async function observe(): Promise<void> {
  for (let i = 0; i < 20; i++) await append('state', 1, 1000);
  tell('at first', [await append('state', 1, 100), await append('audit', 1, 100)]);
  fill(0.04);
  tell('below 5 %', [await append('state', 1, 100), await append('audit', 1, 100)]);
  // More than is free, although the share is kept.
  tell('more than is free', await append('state', 5, 60_000));
  tell('after that', await append('state', 1, 100));
  fill(0.005);
  tell('below 2 %', [await append('state', 1, 100), await append('audit', 1, 100)]);
  const heads = [await log.state.head(), await log.audit.head()];
  tell('still served', heads[0] === acknowledged.state && heads[1] === acknowledged.audit);
  rmSync(join(disk, 'filler'));
  tell('with room again', [await append('state', 1, 100), await append('audit', 1, 100)]);
  tell(
    'nothing lost',
    [await log.state.head(), await log.audit.head()].join() === Object.values(acknowledged).join(),
  );
}

/**
 * A log whose writes go to the small disk, in a directory on another: the lack of space is not noticed, and
 * SQLite hits the end. Its write-ahead file is mounted there, in the mount namespace that this program was
 * started in.
 */
async function hitTheEnd(): Promise<void> {
  const elsewhere = mkdtempSync(join(tmpdir(), 'log-elsewhere-'));
  const ahead = join(elsewhere, 'log.db-wal');
  writeFileSync(join(disk, 'ahead'), '', { mode: 0o600 });
  writeFileSync(ahead, '', { mode: 0o600 });
  execFileSync('mount', ['--bind', join(disk, 'ahead'), ahead]);
  try {
    const driver = await openDirectoryDriver({ path: elsewhere });
    fill(0.04);
    let last: Place = { slot: 0, hash: noHash };
    const answers: string[] = [];
    const write = async (bytes: number): Promise<void> => {
      const batch = Buffer.alloc(bytes);
      try {
        const { status } = await driver.append('audit', last, batch);
        answers.push(status);
        last = { slot: last.slot + 1, hash: ownHash(batch) };
      } catch (e) {
        answers.push(isCoded(e) ? e.code : String(e));
      }
    };
    for (const bytes of [1000, 900_000, 1000]) await write(bytes);
    // Space is freed, and the refused writes succeed.
    rmSync(join(disk, 'filler'));
    await write(900_000);
    await driver.close();
    tell('at the very end', answers);
  } finally {
    execFileSync('umount', [ahead]);
    rmSync(elsewhere, { recursive: true });
  }
}

await observe();
await log.close();
await hitTheEnd();
const reader = await openDirectoryReader({ path });
tell('verified', (await verifyLog(reader)).bad ?? 'whole');
await reader.close();

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { StreamName } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { openLog } from '../../src/log/open-log.ts';
import { verifyLog } from '../../src/log/verify.ts';
import { times } from '../conformance/trial.ts';
import { WriterProcess } from '../conformance/writer-process.ts';
import { openDirectoryDriver, openDirectoryReader } from './open.ts';

const program = (name: string): string => fileURLToPath(new URL(`./${name}.ts`, import.meta.url));

const writer = (path: string, name: string): WriterProcess =>
  new WriterProcess({ type: 'dir', partition: 'state', options: { path } }, name);

const open = async (path: string): Promise<ClusterLog> =>
  openLog({
    driver: await openDirectoryDriver({ path }),
    keyring: sharedTestKeyring,
    world: realWorld,
    writer: 'test',
    sink: silentLog,
  });

describe('several processes on one directory', () => {
  let path: string;
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'log-processes-'));
  });
  afterEach(() => {
    rmSync(path, { recursive: true, force: true });
  });

  it('lose and double nothing when writers are killed in mid-append', async () => {
    const acknowledged = new Map<StreamName, number>();
    const survivor = writer(path, 'survivor');
    for (let loop = 1; loop <= times(5); loop++) {
      const victim = writer(path, `victim${loop % 2}`);
      await victim.until(20 + 37 * loop);
      await victim.kill();
      for (const [stream, revision] of victim.acknowledged) acknowledged.set(stream, revision);
    }
    await survivor.until(times(300));
    await survivor.kill();
    for (const [stream, revision] of survivor.acknowledged) acknowledged.set(stream, revision);

    const log = await open(path);
    const seen = new Map<StreamName, number>();
    for await (const { stream, fact } of log.state.history(0)) {
      // Each writer numbers its events: one that was doubled or lost would break the row.
      expect((fact.data as { n: number }).n).toBe((seen.get(stream) ?? 0) + 1);
      seen.set(stream, (seen.get(stream) ?? 0) + 1);
    }
    for (const [stream, revision] of acknowledged)
      expect(seen.get(stream) ?? 0, stream).toBeGreaterThanOrEqual(revision);
    await log.close();
    const reader = await openDirectoryReader({ path });
    expect((await verifyLog(reader)).bad).toBeUndefined();
    await reader.close();
  });

  it('need no more memory to read what is a long way behind', async () => {
    const log = await open(path);
    const bytes = 1000;
    const events = times(60_000);
    const facts = Array.from({ length: 200 }, () => ({
      type: 'trial.happened',
      data: { text: 'x'.repeat(bytes) },
    }));
    const cause = { at: realWorld.now(), actor: 'user:trial', requestId: 'r1' };
    for (let n = 0; n < events; n += facts.length)
      await log.audit.append([{ stream: 'w-1', expected: n, facts }], cause);
    await log.close();
    // The log is much larger than the whole heap of the reader.
    const megabytes = Math.floor((events * bytes) / 1e6 / 1.7);
    const reader = spawn(
      process.execPath,
      [`--max-old-space-size=${Math.min(megabytes, 64)}`, program('trial-reader'), path, String(events)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    expect(await text(reader.stdout)).toBe(`read ${events}\n`);
  });
});

describe('a full disk', () => {
  it('refuses new work, serves what is stored, and loses nothing', async () => {
    const disk = mkdtempSync(join(tmpdir(), 'log-disk-'));
    // A file system of 8 MiB in a mount namespace of its own: gone with the program.
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const mount = 'mount -t tmpfs -o size=8m,mode=0700 none "$0" || exit 99; exec "$1" "$2" "$0"';
    const trial = spawn(
      'unshare',
      [...user, '--mount', 'sh', '-c', mount, disk, process.execPath, program('trial-full-disk')],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exit = once(trial, 'exit');
    const lines = (await text(trial.stdout)).trim().split('\n').filter(Boolean);
    const [code] = (await exit) as [number];
    rmSync(disk, { recursive: true, force: true });
    expect(
      code,
      code === 99 ? 'this test needs to mount a tmpfs: run it as root or allow user namespaces' : '',
    ).toBe(0);
    const observed = lines.map((line) => JSON.parse(line) as { what: string; value: unknown });
    expect(Object.fromEntries(observed.map(({ what, value }) => [what, value]))).toEqual({
      'at first': ['appended', 'appended'],
      'below 5 %': ['appended', 'no_space'],
      'more than is free': 'no_space',
      'after that': 'appended',
      'below 2 %': ['no_space', 'no_space'],
      'still served': true,
      'with room again': ['appended', 'appended'],
      'nothing lost': true,
      'at the very end': ['committed', 'no_space', 'committed', 'committed'],
      verified: 'whole',
    });
  });
});

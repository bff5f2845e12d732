import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readText } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { endDaemons, startDaemon, type Daemon } from '../harness/daemon.ts';
import { createFirstUser, password } from '../harness/people.ts';
import { command, failuresOf, startLoad, tallyLines } from './restart-load.ts';

const user = userInfo().username;
afterEach(endDaemons);

const lastRestart = (daemon: Daemon): { status: string; reason?: string; at: string } =>
  JSON.parse(readText(join(daemon.cluster.dataDir, 'proc/restart.json'))) as {
    status: string;
    reason?: string;
    at: string;
  };

describe('a reload in the middle of', () => {
  it('logins and appends loses and doubles none', { timeout: 120_000 }, async () => {
    const daemon = await startDaemon();
    const { cluster } = daemon;
    await createFirstUser(cluster, user, { logins: [user] });
    let added = 0;
    let logins = 0;
    const load = startLoad(cluster, {
      'tctl users add': async () => {
        await command(
          resolve('bin/tctl'),
          ['--config', cluster.config, 'users', 'add', `u${added}`, 'root'],
          process.env,
        )();
        added++;
      },
      'tsh login': async () => {
        const person = `p${logins++}`;
        const done = await cluster.tsh(
          person,
          ['login', `--proxy=localhost:${cluster.ports.web}`, `--user=${user}`],
          {
            input: `${password}\n`,
          },
        );
        if (done.code !== 0) throw new Error(done.stdout + done.stderr);
      },
    });
    for (let n = 0; n < 4; n++) await daemon.reload();
    await load.stop();
    console.log(tallyLines(load));
    expect(failuresOf(load)).toEqual([]);
    const listed = await cluster.tctl('users', 'ls');
    for (let n = 0; n < added; n++) expect(listed.stdout).toMatch(new RegExp(`^u${n}\\s`, 'm'));
    const verified = await cluster.tctl('log', 'verify');
    expect(`${verified.stdout}${verified.stderr}`).toMatch(/ok\n$/);
  });

  it('another reload is remembered once', { timeout: 60_000 }, async () => {
    const daemon = await startDaemon();
    const first = daemon.main();
    process.kill(first.pid, 'SIGHUP');
    await until('it to be under way', () =>
      daemon.cluster.output().includes('SIGHUP: starting') ? true : undefined,
    );
    for (let n = 1; n <= 3; n++) {
      process.kill(first.pid, 'SIGHUP');
      await until('it to be remembered', () =>
        daemon.cluster.output().split('SIGHUP: remembered').length > n ? true : undefined,
      );
    }
    const second = await until('a second process', () =>
      daemon.main().pid === first.pid ? undefined : daemon.main(),
    );
    const third = await until('a third process', () =>
      daemon.main().pid === second.pid ? undefined : daemon.main(),
    );
    await until('the others to leave', () => (daemon.generations().length === 1 ? true : undefined));
    expect(daemon.main()).toEqual(third);
    expect((await daemon.cluster.readyz())?.code).toBe(200);
  });

  it('a full disk fails, and works when there is room again', { timeout: 60_000 }, async () => {
    const disk = mkdtempSync(join(tmpdir(), 'restart-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=0700', 'tmpfs', disk]);
    try {
      const daemon = await startDaemon({ dataDir: join(disk, 'data') });
      const before = daemon.main();
      const ballast = join(disk, 'ballast');
      try {
        writeFileSync(ballast, Buffer.alloc(64 << 20));
      } catch (e) {
        expect((e as NodeJS.ErrnoException).code).toBe('ENOSPC');
      }
      process.kill(before.pid, 'SIGHUP');
      await until('the failure to be said', () =>
        /the new process does not serve, this one goes on: .*no space/i.test(daemon.cluster.output())
          ? true
          : undefined,
      );
      expect(daemon.main()).toEqual(before);
      rmSync(ballast);
      await daemon.reload();
      await until('the new process to lack nothing', async () =>
        (await daemon.cluster.readyz())?.code === 200 ? true : undefined,
      );
      await endDaemons();
    } finally {
      execFileSync('umount', ['-l', disk]);
      rmSync(disk, { recursive: true });
    }
  });

  it('its own start that is killed leaves the old process serving', { timeout: 60_000 }, async () => {
    const daemon = await startDaemon();
    const before = daemon.main();
    process.kill(before.pid, 'SIGHUP');
    const starting = await until('a new process to start', () =>
      daemon.generations().find((one) => one.pid !== before.pid),
    );
    process.kill(starting.pid, 'SIGKILL');
    await until('the failure to be written down', () => {
      try {
        return lastRestart(daemon).status === 'failed' ? true : undefined;
      } catch {
        return undefined;
      }
    });
    expect(lastRestart(daemon).reason).toBe('ended before it was ready, exit code 137');
    expect(daemon.main()).toEqual(before);
    expect((await daemon.cluster.readyz())?.code).toBe(200);
  });
});

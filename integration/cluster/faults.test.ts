import { existsSync, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCluster, startCluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { createFirstUser, logIn } from '../harness/people.ts';

const login = userInfo().username;

describe('a certificate that has expired', () => {
  it('is named as such, with what to do, and nothing is run', async () => {
    const cluster = await startCluster();
    try {
      await createFirstUser(cluster, 'joe', { logins: [login] });
      const later = await run('faketime', ['-f', '+13h', 'tsh', 'ssh', `${login}@node1`, 'echo', 'ran'], {
        env: cluster.env('joe'),
      });
      expect(later.stdout).toBe('');
      expect(later.stderr).toMatch(/expired/);
      expect(later.stderr).toMatch(/tsh login/);
      expect(later.code).toBe(1);
      const status = await run('faketime', ['-f', '+13h', 'tsh', 'status'], { env: cluster.env('joe') });
      expect(status.stdout).toContain('[EXPIRED]');
    } finally {
      await cluster.close();
    }
  });
});

describe('a full disk', () => {
  it('refuses what cannot be kept, says so, keeps what there is, and goes on when there is room', async () => {
    const cluster = await createCluster();
    mkdirSync(cluster.dataDir, { mode: 0o700 });
    const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=0700', 'tmpfs', cluster.dataDir]);
    if (mounted.code !== 0) throw new Error(`this test needs root to mount a small disk: ${mounted.stderr}`);
    try {
      await cluster.start();
      await createFirstUser(cluster, 'joe', { logins: [login] });
      const filler = join(cluster.dataDir, 'filler');
      await run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k']);
      const added = await cluster.tctl('users', 'add', 'ann');
      expect(added.code).toBe(1);
      expect(added.stderr).toMatch(/error: .*(disk|space|full)/i);
      expect((await cluster.tctl('users', 'ls')).stdout).toContain('joe');
      // Somebody has to be able to come and free space.
      const cameIn = await cluster.tsh('joe', ['ssh', `${login}@node1`, 'echo in'], { timeoutMs: 20_000 });
      expect(cameIn).toMatchObject({ code: 0, stdout: 'in\n' });
      const told = await until('/readyz to tell', async () => {
        const answer = await cluster.readyz();
        return answer?.code === 503 ? answer.body : undefined;
      });
      expect(told).toContain('node: the disk of this machine takes nothing since');
      expect(cluster.output()).toMatch(
        /ERROR \[NODE\] the disk of the audit spool takes nothing: only people/,
      );
      await cluster.tsh('joe', ['ssh', `${login}@node1`, `rm ${filler}`], { timeoutMs: 20_000 });
      expect(existsSync(filler)).toBe(false);
      expect((await cluster.tctl('users', 'add', 'ann')).code).toBe(0);
      await cluster.tsh('joe', ['logout']);
      await logIn(cluster, 'joe');
      expect(await cluster.tsh('joe', ['ssh', `${login}@node1`, 'echo back'])).toMatchObject({
        stdout: 'back\n',
        code: 0,
      });
      await until('/readyz to be well', async () =>
        (await cluster.readyz())?.code === 200 ? true : undefined,
      );
      expect((await cluster.tctl('log', 'verify')).stdout).toContain('ok');
      expect(cluster.output()).not.toMatch(/^\s+at .*:\d+:\d+/m);
    } finally {
      await cluster.stop();
      await run('umount', [cluster.dataDir]);
      await cluster.close();
    }
  });
});

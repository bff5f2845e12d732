import { mkdirSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCluster, run, startCluster, until } from './cluster.ts';
import { createFirstUser, logIn } from './people.ts';

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
      await until('/readyz to tell', async () => {
        await cluster.tsh('joe', ['ssh', `${login}@node1`, 'true'], { timeoutMs: 5_000 });
        return (await cluster.readyz())?.code === 503 ? true : undefined;
      });
      rmSync(filler);
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

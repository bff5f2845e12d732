import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startCluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { createFirstUser, password } from '../harness/people.ts';
import { isRoot } from '../harness/throwaway-user.ts';

/** Gives what it runs a /dev of its own, in which /dev/log is the first argument. */
const ownDevices = `set -e
dev=$(mktemp -d) log=$1
shift
mount -t tmpfs tmpfs "$dev"
for name in null zero full random urandom tty; do touch "$dev/$name"; mount --bind "/dev/$name" "$dev/$name"; done
mkdir "$dev/pts" "$dev/shm"
mount --bind /dev/pts "$dev/pts"
ln -s pts/ptmx "$dev/ptmx"
ln -s /proc/self/fd "$dev/fd"
ln -s "$log" "$dev/log"
mount --move "$dev" /dev
rmdir "$dev"
exec "$@"`;
const token = 'a-static-token-that-nobody-may-read';

describe.runIf(isRoot)('USR1', () => {
  it('tells the log and syslog what the daemon does, and no secret', { timeout: 60_000 }, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'syslog-'));
    const socket = join(directory, 'socket');
    const listener = spawn('python3', [resolve('integration/cluster/datagram-listener.py'), socket]);
    let said = '';
    listener.stdout.on('data', (data: Buffer) => (said += data.toString()));
    const messages = (): string[] =>
      said
        .split('\n')
        .slice(1, -1)
        .map((line) => JSON.parse(line) as string);
    await until('the listener', () => (said.includes('listening') ? true : undefined));
    const cluster = await startCluster({
      yaml: (text) => text.replace('  cluster_name', `  tokens: ["node:${token}"]\n  cluster_name`),
      within: ['unshare', '-m', '--propagation', 'private', 'sh', '-c', ownDevices, 'sh', socket],
    });
    try {
      await createFirstUser(cluster, 'joe', { logins: ['root'] });
      const added = await cluster.tctl('nodes', 'add');
      process.kill(cluster.pid(), 'SIGUSR1');
      await until('the daemon to say so', () =>
        cluster.output().includes('SIGUSR1: the diagnostics are in the system log too') ? true : undefined,
      );
      const own = cluster
        .output()
        .split('\n')
        .flatMap((line) => /SIGUSR1: (?!the ).*/.exec(line) ?? []);
      await until('every message', () => (messages().length >= own.length ? true : undefined));
      for (const message of messages())
        expect(message).toMatch(/^<30>\w{3} [ \d]\d \d\d:\d\d:\d\d teleport\[\d+\]: SIGUSR1: /);
      const told = messages().map((message) => message.replace(/^.*?\]: /, ''));
      expect(told).toEqual(own);
      expect(messages()[0]).toContain(
        `teleport[${cluster.pid()}]: SIGUSR1: diagnostics pid=${cluster.pid()} version=`,
      );
      for (const name of ['auth', 'proxy', 'node'])
        expect(told.filter((line) => line.startsWith(`SIGUSR1: service service="${name}" `))).toHaveLength(1);
      for (const name of ['auth', 'proxy:web', 'proxy:ssh', 'node', 'diag'])
        expect(told.filter((line) => line.startsWith(`SIGUSR1: listener name="${name}" `))).toHaveLength(1);
      const invited = /--token=([0-9a-f]{32})/.exec(added.stdout)?.[1] ?? 'none';
      expect(invited).not.toBe('none');
      for (const secret of [token, invited, password, 'PRIVATE KEY', '$argon', 'BEGIN'])
        expect(`${said}${own.join('\n')}`).not.toContain(secret);

      await run('nsenter', ['-t', String(cluster.pid()), '-m', 'rm', '/dev/log']);
      process.kill(cluster.pid(), 'SIGUSR1');
      await until('the daemon to say that there is none', () =>
        /SIGUSR1: the diagnostics are in this log only.*there is no socket \/dev\/log/.test(cluster.output())
          ? true
          : undefined,
      );
    } finally {
      await cluster.close();
      listener.stdin.end();
      rmSync(directory, { recursive: true });
    }
  });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOpenssh, type OpensshPair } from '../bench/openssh.ts';
import { startCluster, type Cluster } from '../harness/cluster.ts';
import { run, until, type Ran } from '../harness/run-program.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';

const login = userInfo().username;
/**
 * A command of so many bytes, in two words: a kernel takes no longer word of `ssh` itself. It prints a
 * length.
 */
function command(bytes: number): [string, string] {
  const line = `echo ${'x'.repeat(bytes - 'echo  | wc -c'.length)} | wc -c`;
  return [line.slice(0, line.length / 2), line.slice(line.length / 2 + 1)];
}

/** sshd runs what its kernel takes (128 KiB), and refuses more in that session alone. */
describe('large requests of a session', () => {
  let cluster: Cluster;
  let openssh: OpensshPair;
  let other: ChildProcess;
  let heard = '';
  let onMaster: string[];
  const ssh = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
    run('ssh', [...onMaster, ...words], { env: { ...cluster.env('joe'), ...env } });
  const sshd = (words: readonly string[]): Promise<Ran> => {
    const [bin = '', ...args] = openssh.direct.split(' ');
    return run(bin, [...args, ...words]);
  };
  const tsh = (words: readonly string[]): Promise<Ran> =>
    cluster.tsh('joe', [
      ...['ssh', `--proxy=localhost:${cluster.ports.web}`, '--user=joe', `${login}@node1`],
      ...words,
    ]);

  beforeAll(async () => {
    openssh = await startOpenssh();
    cluster = await startCluster({
      yaml: (text) => text.replace('ssh_service:', 'ssh_service:\n  accept_env: [LARGE]'),
    });
    await createFirstUser(cluster, 'joe', { logins: [login] });
    const socket = join(cluster.dir, 'master');
    onMaster = ['-F', await sshConfigFor(cluster, 'joe'), '-o', 'SendEnv=LARGE', '-S', socket];
    onMaster.push(`${login}@node1.example`);
    other = spawn('ssh', ['-M', ...onMaster, 'cat'], { env: cluster.env('joe') });
    other.stdout?.on('data', (text: Buffer) => (heard += text.toString()));
    await until('the master', async () => ((await ssh(['true'])).code === 0 ? true : undefined));
  });
  afterAll(async () => {
    other.kill('SIGKILL');
    openssh.close();
    await cluster.close();
  });

  it.each([35_000, 100_000, 131_000])('runs a command of %i bytes', async (bytes) => {
    const wanted = { code: 0, stdout: `${bytes - 'echo  | wc -c'.length + 1}\n`, stderr: '' };
    const words = command(bytes);
    expect(await Promise.all([sshd, ssh, tsh].map((by) => by(words)))).toMatchObject([
      wanted,
      wanted,
      wanted,
    ]);
  });
  it.each([132_000, 250_000])('says of a command of %i bytes that it is too long', async (bytes) => {
    const words = command(bytes);
    expect(await sshd(words)).toMatchObject({ stdout: '', stderr: '/bin/bash: Argument list too long\n' });
    const wanted = { code: 255, stdout: '' };
    const [bySsh, byTsh] = await Promise.all([ssh(words), tsh(words)]);
    expect([bySsh, byTsh]).toMatchObject([wanted, wanted]);
    for (const { stderr } of [bySsh, byTsh])
      expect(stderr).toContain(
        `Failed to launch: the command is ${bytes} bytes long, and this system takes 131071.\n`,
      );
  });
  it('are not sent by tsh when no server takes them', async () => {
    const [first, second] = command(250_000);
    const ran = await tsh([first, second, first]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^ERROR: the exec asked for is \d+ bytes long, SSH takes 261120\n$/i);
  });
  it.each([40_000, 130_000])('set a variable of %i bytes', async (bytes) => {
    const ran = await ssh(['printf %s "$LARGE" | wc -c'], { LARGE: 'y'.repeat(bytes) });
    expect(ran).toMatchObject({ code: 0, stdout: `${bytes}\n` });
  });
  it('have left the other sessions of the connection alone', async () => {
    expect(other.exitCode).toBe(null);
    other.stdin?.write('still here\n');
    await until('the other session', () => (heard.includes('still here\n') ? true : undefined));
  });
});

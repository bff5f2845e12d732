/* What a stock OpenSSH client uses only with servers that are called OpenSSH; each beside a stock sshd. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpensshPair, startOpenssh } from '../bench/openssh.ts';
import { type Cluster, startCluster } from '../harness/cluster.ts';
import { type Ran, run, until } from '../harness/run-program.ts';
import { freePorts } from '../harness/own-ports.ts';
import { createFirstUser, sshConfigFor } from '../harness/people.ts';
import { isRoot } from '../harness/throwaway-user.ts';

const login = userInfo().username;
/** A client that hangs ends with 124. */
const limited = 'timeout -k 1 20';
const sh = (line: string, env = process.env): Promise<Ran> => run('bash', ['-c', line], { env });

/** Whether a program runs that was given this word as an argument of its own. */
const runs = (word: string): boolean =>
  readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes(word);
    } catch {
      return false; // it has ended meanwhile
    }
  });

describe.runIf(isRoot)('a stock OpenSSH client', () => {
  let cluster: Cluster;
  let sshd: OpensshPair;
  let ways: Record<string, string>;
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    [cluster, sshd] = await Promise.all([startCluster(), startOpenssh()]);
    await createFirstUser(cluster, 'joe', { logins: [login] });
    const config = await sshConfigFor(cluster, 'joe');
    const { ssh, proxySsh } = cluster.ports;
    const host = `${login}@node1.example`;
    const options = `ssh -F ${config} -o LogLevel=ERROR`;
    ways = {
      'sshd directly': sshd.direct,
      'sshd through a jump host': sshd.jump,
      'a node directly': `${options} -o ProxyCommand=none -o HostName=127.0.0.1 -o HostKeyAlias=node1.example -p ${ssh} ${host}`,
      'a node through the proxy': `${options} ${host}`,
      'a node by -J': `${options} -J ${login}@localhost:${proxySsh} -p ${ssh} ${host}`,
    };
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    sshd.close();
    await cluster.close();
  });
  const all = [
    'sshd directly',
    'sshd through a jump host',
    'a node directly',
    'a node through the proxy',
    'a node by -J',
  ];
  const way = (name: string): string => ways[name] ?? '';
  const env = (): NodeJS.ProcessEnv => ({ ...process.env, ...cluster.env('joe') });

  describe.each(all)('at %s', (name) => {
    let n = 0;
    const word = (): string => `w${process.pid}x${all.indexOf(name)}x${++n}`;
    it.each([
      ['is killed', (said: string) => `yes ${said}`, 255],
      ['sees an error', (said: string) => `trap "" PIPE; yes ${said} 2> /dev/null; exit 7`, 7],
    ])('ends a command whose output nobody reads any more, which %s', async (_what, command, status) => {
      const said = word();
      const line = `${limited} ${way(name)} '${command(said)}' | head -1; echo \${PIPESTATUS[0]}`;
      expect(await sh(line, env())).toMatchObject({ stdout: `${said}\n${status}\n` });
      await until('the end of the command', () => (runs(said) ? undefined : true));
    });
    it('ends one of several on a shared connection, and no other', async () => {
      const [said, socket] = [word(), join(cluster.dir, word())];
      const begun = await sh(`${limited} ${way(name)} -o ControlPath=${socket} -MfN > /dev/null 2>&1`, env());
      expect(begun.code).toBe(0);
      const shared = `${way(name)} -o ControlPath=${socket}`;
      const other = spawn('bash', ['-c', `exec ${shared} 'echo there; cat'`], { env: env() });
      children.push(other);
      const ended = new Promise((resolve) => other.once('close', resolve));
      await new Promise((resolve) => other.stdout.once('data', resolve));
      const line = `${limited} ${shared} 'yes ${said}' | head -1; echo \${PIPESTATUS[0]}`;
      expect(await sh(line, env())).toMatchObject({ stdout: `${said}\n255\n` });
      await until('the end of the command', () => (runs(said) ? undefined : true));
      const heard = text(other.stdout);
      other.stdin.end('still here\n');
      expect(await heard).toBe('still here\n');
      expect(await ended).toBe(0);
      expect((await sh(`${shared} -O exit`, env())).code).toBe(0);
    });
    it('says that it opens no more sessions, and forwards go on', async () => {
      const [port = 0] = await freePorts(1);
      const inner = cluster.ports.ssh;
      const line = `${limited} ${way(name)} -v -L ${port}:127.0.0.1:${inner} 'echo up; cat' `;
      const client = spawn('bash', ['-c', `exec ${line}`], { env: env() });
      children.push(client);
      const complaints = text(client.stderr);
      await new Promise((resolve) => client.stdout.once('data', resolve));
      const through = await sh(`exec 3<> /dev/tcp/127.0.0.1/${port}; read -r -u 3 line; echo "$line"`);
      expect(through.stdout).toMatch(/^SSH-2\.0-OpenSSH_Teleport/);
      client.stdin.end();
      expect(await new Promise((resolve) => client.once('close', resolve))).toBe(0);
      expect(await complaints).toContain('Requesting no-more-sessions@openssh.com');
    });
  });

  it('is told what a node does not carry, and its session goes on', async () => {
    const [port = 0] = await freePorts(1);
    const socket = join(cluster.dir, 'no-socket');
    for (const [option, complaint] of [
      [`-R ${port}:127.0.0.1:1`, 'remote port forwarding failed'],
      [`-R ${socket}:127.0.0.1:1`, 'remote port forwarding failed'],
    ] as const) {
      const ran = await sh(`${limited} ${way('a node directly')} -v ${option} 'echo on'`, env());
      expect(ran).toMatchObject({ code: 0, stdout: 'on\n' });
      expect(ran.stderr).toContain(complaint);
    }
    const line = `${limited} ${way('a node directly')} -v -L ${port}:${socket} 'echo up; cat'`;
    const client = spawn('bash', ['-c', `exec ${line}`], { env: env() });
    children.push(client);
    const complaints = text(client.stderr);
    await new Promise((resolve) => client.stdout.once('data', resolve));
    expect((await sh(`exec 3<> /dev/tcp/127.0.0.1/${port}; cat <&3`)).stdout).toBe('');
    client.stdin.end();
    expect(await new Promise((resolve) => client.once('close', resolve))).toBe(0);
    expect(await complaints).toContain('unknown channel type');
  });
});

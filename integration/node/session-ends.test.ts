import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NodeBench, startNode } from './node-bench.ts';
import { toldOf } from './told-of.ts';
import { until } from '../harness/run-program.ts';
import { isRoot, makeUser, type ThrowawayUser } from '../harness/throwaway-user.ts';

describe.runIf(isRoot)('the end of a session', () => {
  let user: ThrowawayUser;
  let node: NodeBench;
  let config: string;
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    user = makeUser();
    node = await startNode({ logins: ['root', user.name] });
    config = node.person('alice');
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await node.stop();
    user.remove();
  });
  const ssh = (...args: string[]): ChildProcess => {
    const child = spawn('ssh', ['-F', config, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    return child;
  };
  const codeOf = (child: ChildProcess): Promise<number> =>
    new Promise((resolve) =>
      child.once('close', (code: number) => {
        resolve(code);
      }),
    );
  const logins = () => [user.name, 'root'];

  it('tells the exit status while what the command left behind still holds the output', async () => {
    for (const login of logins()) {
      const gate = join(user.home, `gate-${login}`);
      execFileSync('mkfifo', ['-m', '666', gate]);
      const child = ssh(
        '-o',
        'LogLevel=DEBUG1',
        `${login}@node1`,
        `(read x < ${gate}; echo late) & echo first; exit 3`,
      );
      const ended = codeOf(child);
      let [out, err] = ['', ''];
      child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
      await new Promise<void>((resolve) => {
        child.stderr?.on('data', (chunk: Buffer) => {
          err += chunk.toString();
          if (err.includes('rtype exit-status')) resolve();
        });
      });
      await until('what was written before the end', () => (out === 'first\n' ? true : undefined));
      expect(node.told('session.end').filter((one) => one.login === login)).toEqual([]);
      writeFileSync(gate, 'go\n');
      expect(await ended).toBe(3);
      expect(out).toBe('first\nlate\n');
      expect(err.match(/rtype exit-status/g)).toHaveLength(1);
      expect(await toldOf(node, 'exec', { login, exitCode: '3' })).toMatchObject({ code: 'T3002E' });
      await toldOf(node, 'session.end', { login });
    }
  });
  it('gives a slow reader all that a program wrote to its terminal', async () => {
    const lines = 400_000;
    const child = ssh('-tt', `${user.name}@node1`, `seq 1 ${lines}`);
    const ended = codeOf(child);
    let [count, last] = [0, ''];
    for await (const chunk of child.stdout ?? []) {
      const text = (chunk as Buffer).toString('latin1');
      count += text.split('\n').length - 1;
      last = (last + text).slice(-20);
      await delay(text.length / 1000); // 1 MB/s
    }
    expect({ count, last: last.trim().split(/\s+/).at(-1), code: await ended }).toEqual({
      count: lines,
      last: String(lines),
      code: 0,
    });
  });
  it('closes a terminal when its program has ended, whatever was left behind on it', async () => {
    const child = ssh('-tt', `${user.name}@node1`, 'trap "" HUP; sleep 600 & echo pid $!; exit 3');
    let out = '';
    child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
    expect(await codeOf(child)).toBe(3);
    process.kill(Number(/pid (\d+)/.exec(out)?.[1]));
  });
  it('tells a real-time signal by a name, to the audit as well', async () => {
    const child = ssh('-o', 'LogLevel=DEBUG1', `${user.name}@node1`, 'kill -35 $$');
    let err = '';
    child.stderr?.on('data', (chunk: Buffer) => (err += chunk.toString()));
    expect(await codeOf(child)).toBe(255);
    expect(err).toContain('rtype exit-signal');
    await toldOf(node, 'exec', { command: 'kill -35 $$', exitError: 'signal: RTMIN+1@openssh.com' });
    const client = await node.connect('alice', user.name);
    const session = await client.exec('kill -64 $$');
    expect(await session.exit).toMatchObject({ status: 'signalled', signal: 'RTMIN+30@openssh.com' });
    client.close();
  });

  describe('whose client reads no more (eow@openssh.com)', () => {
    it('tells a command that writes on, as a pipe does', async () => {
      const client = await node.connect('alice', user.name);
      const yes = await client.exec('exec yes');
      await new Promise((resolve) => yes.channel.once('data', resolve));
      yes.channel.pause();
      expect(await yes.endOfWrite()).toBe(true);
      yes.channel.resume();
      expect(await yes.exit).toMatchObject({ status: 'signalled', signal: 'PIPE' });
      client.close();
    });
    it('lets the command go on if it can, and its stderr and exit status come through', async () => {
      const client = await node.connect('alice', user.name);
      const session = await client.exec('yes; echo "yes ended by $?" >&2; exit 4');
      let err = '';
      session.channel.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
      await new Promise((resolve) => session.channel.once('data', resolve));
      session.channel.resume();
      expect(await session.endOfWrite()).toBe(true);
      expect(await session.exit).toEqual({ status: 'exited', code: 4 });
      expect(err).toBe('yes ended by 141\n');
      client.close();
    });
    it('stops a program on a terminal, which ends with its client', async () => {
      const client = await node.connect('alice', user.name);
      const size = { columns: 80, rows: 25, widthPixels: 0, heightPixels: 0 };
      const session = await client.exec('echo pid $$; exec yes', { pty: { term: 'xterm', size } });
      let out = '';
      session.channel.on('data', (chunk: Buffer) => {
        if (out.length < 100) out += chunk.toString();
      });
      await new Promise((resolve) => session.channel.once('data', resolve));
      expect(await session.endOfWrite()).toBe(true);
      client.close();
      await toldOf(node, 'exec', { command: 'echo pid $$; exec yes' });
    });
  });
});

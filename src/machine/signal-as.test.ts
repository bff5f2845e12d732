import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SignalSender, signalScript } from './signal-as.ts';

describe('the signals of one program', () => {
  it('are sent one after the other, and one of a kind waits', async () => {
    const sent: string[] = [];
    let running = 0;
    const go = Promise.withResolvers<boolean>();
    const sender = new SignalSender(async (names) => {
      expect(++running).toBe(1);
      sent.push(names.join(' '));
      const result = await go.promise;
      running--;
      return result;
    });
    const all = [sender.send('HUP', 'CONT')];
    await Promise.resolve();
    for (let i = 0; i < 1000; i++)
      all.push(sender.send('INT'), sender.send('HUP', 'CONT'), sender.send('TERM'));
    go.resolve(true);
    expect(new Set(await Promise.all(all))).toEqual(new Set([true]));
    expect(sent).toEqual(['HUP CONT', 'INT', 'HUP CONT', 'TERM']);
    expect(await sender.send('INT')).toBe(true);
    expect(sent).toHaveLength(5);
  });
});

const shells = [
  ['/bin/sh'],
  ['/bin/bash', '--posix'],
  ['/usr/bin/busybox', 'ash'],
  ['/bin/busybox', 'ash'],
].filter(([path = '']) => existsSync(path));

describe.each(shells)('signals sent by %s', (path = '', ...options) => {
  const send = (...words: readonly string[]): Promise<{ code: number; said: string }> =>
    new Promise((resolve) => {
      execFile(path, [...options, '-c', signalScript, 'sh', ...words], (e, stdout, stderr) => {
        resolve({ code: e === null ? 0 : Number(e.code), said: stdout + stderr });
      });
    });

  it('reach the group, once each', async () => {
    const script = 'trap "echo 1" USR1; trap "echo 2" USR2; echo ready; read -r x; read -r x';
    const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    let told = '';
    child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await once(child.stdout, 'data');
    expect(await send(String(child.pid), 'USR1')).toEqual({ code: 0, said: '' });
    child.stdin.end('\n');
    await once(child, 'close');
    expect(told).toBe('ready\n1\n');
  });
  it('reach a process that leads no group yet; with nobody there they fail', async () => {
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    const exit = once(child, 'exit');
    const pid = String(child.pid);
    expect(await send(pid, 'CONT', 'KILL')).toMatchObject({ code: 0 });
    expect(await exit).toEqual([null, 'SIGKILL']);
    expect((await send(pid, 'KILL')).code).not.toBe(0);
  });
});

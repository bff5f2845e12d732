import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Cluster, createCluster } from '../harness/cluster.ts';
import { run, until } from '../harness/run-program.ts';
import { isRoot } from '../harness/throwaway-user.ts';

let cluster: Cluster | undefined;
const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
  for (const one of undo.splice(0)) await one();
});

async function smallDisk(size: string): Promise<string> {
  const disk = mkdtempSync(join(tmpdir(), 'small-disk-'));
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]);
  if (mounted.code !== 0) throw new Error(`this test needs root to mount a small disk: ${mounted.stderr}`);
  undo.push(async () => {
    await run('umount', [disk]);
    rmSync(disk, { recursive: true });
  });
  return disk;
}

async function serving(options: Parameters<typeof createCluster>[0] = {}): Promise<[Cluster, ChildProcess]> {
  cluster = await createCluster(options);
  const started = cluster;
  const child = started.spawn();
  await until('the daemon to be ready', async () => {
    if (child.exitCode !== null) throw new Error(`it exited ${child.exitCode}: ${started.output()}`);
    return (await started.readyz())?.code === 200 ? true : undefined;
  });
  return [started, child];
}

const loggingTo = (path: string) => ({
  yaml: (text: string) => text.replace('log: {severity: debug}', `log: {severity: debug, output: ${path}}`),
});
/** Empty while there is no such file. */
const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
const fill = (disk: string): Promise<unknown> =>
  run('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=4k']);
/** Has it write some 20 lines. */
const speak = (one: Cluster): void => {
  process.kill(one.pid(), 'SIGUSR1');
};
const saysOfLog = (one: Cluster, pattern: RegExp): Promise<string> =>
  until(`/readyz to say ${String(pattern)}`, async () => {
    speak(one);
    const answer = await one.readyz();
    return answer !== undefined && pattern.test(answer.body) ? answer.body : undefined;
  });
const metric = async (one: Cluster, name: string): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${one.ports.diag}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
};

describe('a daemon outlives its standard streams', () => {
  it('when the readers of both leave', async () => {
    const [one, child] = await serving();
    child.stdout?.destroy();
    child.stderr?.destroy();
    const body = await saysOfLog(one, /log: the log \(standard error\) cannot be written since .*EPIPE/);
    expect(JSON.parse(body)).toMatchObject({ status: 'degraded' });
    expect(await metric(one, 'log_output_failing')).toBe(1);
    expect((await one.tctl('nodes', 'ls')).stdout).toContain('node1');
    expect(await one.stop()).toMatchObject({ code: 0, signal: null });
  });
  it('when the reader of one does not read: it serves, says so, and ends when it is told to', async () => {
    const [one, child] = await serving();
    child.stderr?.removeAllListeners('data').pause();
    const spoken = setInterval(() => {
      for (let i = 0; i < 20; i++) speak(one);
    }, 100);
    await until('the pipe to be full', async () =>
      (await one.readyz())?.body.includes('takes nothing for') ? true : undefined,
    ).finally(() => {
      clearInterval(spoken);
    });
    expect((await one.tctl('nodes', 'ls')).stdout).toContain('node1');
    expect(await one.stop()).toMatchObject({ code: 0, signal: null });
  });
  it.runIf(isRoot)('when they go to a file on a disk that is full, and is not full later', async () => {
    const disk = await smallDisk('64k');
    const log = join(disk, 'log');
    const [one] = await serving({ within: ['/bin/sh', '-c', `exec "$0" "$@" >>${log} 2>&1`] });
    await fill(disk);
    await saysOfLog(one, /cannot be written since .*ENOSPC/);
    rmSync(join(disk, 'filler'));
    await until('the log to be written again', () =>
      textOf(log).includes('standard error is written again') ? true : undefined,
    );
    expect((await one.readyz())?.body).not.toContain('log:');
    expect(await one.stop()).toMatchObject({ code: 0, signal: null });
  });
});

describe('a log in a file', () => {
  it.runIf(isRoot)(
    'goes to standard error while its disk is full, and on where it was after that',
    async () => {
      const disk = await smallDisk('256k');
      const log = join(disk, 'teleport.log');
      const [one] = await serving(loggingTo(log));
      await fill(disk);
      await saysOfLog(one, /teleport.log\) cannot be written since .*ENOSPC/);
      expect(one.output()).toMatch(/ERROR \[LOG\] .*teleport.log cannot be written.*ENOSPC/);
      await until('lines on standard error', () =>
        one.output().includes('SIGUSR1: diagnostics') ? true : undefined,
      );
      rmSync(join(disk, 'filler'));
      const again = await until('the log to be written again', () => {
        const text = textOf(log);
        return text.includes('is written again') ? text : undefined;
      });
      // No line is cut in two, and none is missing.
      for (const line of again.trimEnd().split('\n'))
        expect(line).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z [A-Z]+ +\[/);
      expect(again).toMatch(/is written again since=.*linesMissing=0/);
      expect(await metric(one, 'log_lines_dropped')).toBe(0);
      expect(await one.stop()).toMatchObject({ code: 0, signal: null });
    },
  );
  it('is opened again when it was renamed, at USR1 at once and without a signal soon', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rotated-'));
    undo.push(() => {
      rmSync(folder, { recursive: true });
      return Promise.resolve();
    });
    mkdirSync(join(folder, 'old'));
    const log = join(folder, 'teleport.log');
    const [one] = await serving(loggingTo(log));
    for (const name of ['1', '2']) {
      renameSync(log, join(folder, 'old', name));
      // Until the signal has come, what is logged goes to the renamed file.
      speak(one);
      await until('a new file', () => (textOf(log).includes('SIGUSR1: service') ? true : undefined));
      const { size } = statSync(join(folder, 'old', name));
      speak(one);
      await until('more in it', () => (textOf(log).split('SIGUSR1: service').length > 2 ? true : undefined));
      expect(statSync(join(folder, 'old', name)).size).toBe(size);
    }
    renameSync(log, join(folder, 'old', '3'));
    // Somebody whose name nobody knows: a line without a signal.
    await until('a new file without a signal', async () => {
      await run('ssh', [
        '-p',
        String(one.ports.ssh),
        '-F',
        '/dev/null',
        '-oBatchMode=yes',
        'nobody@127.0.0.1',
      ]);
      return textOf(log) === '' ? undefined : true;
    });
    expect(statSync(log).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, 'old', '3'), 'utf8')).toContain('SIGUSR1');
  });
});

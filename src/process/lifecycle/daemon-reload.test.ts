import { existsSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { begin, lockIsFree, stage } from './daemon-testing.ts';
import { loadRestart } from './restart-record.ts';
import { type startSuccessor, type Successor, SuccessorFailure } from './successor.ts';

type SuccessorOptions = Parameters<typeof startSuccessor>[0];

describe('a daemon that is to be replaced', () => {
  // Whom it signals is not there.
  const successor: Successor = { pid: 2 ** 30, startTime: '1', ended: new Promise(() => undefined) };

  it('gives its listeners and its lock to the new one, and serves who is here until they leave', async () => {
    // Nobody needs notice where another one serves.
    const { served, handlers, daemon, until, drain, dataDir, pidFile, lines, world } = begin({
      changes: { drainNoticeMs: 3_600_000 },
    });
    await served();
    let asked: SuccessorOptions | undefined;
    stage.successor = (options) => {
      asked = options as SuccessorOptions;
      return Promise.resolve(successor);
    };
    handlers().reload();
    await until(`stop ${Number.MAX_SAFE_INTEGER} succeeded`);
    expect(asked).toMatchObject({
      commandLine: ['teleport', 'start'],
      listeners: [{ name: 'node', addr: '127.0.0.1:0', fd: 33 }],
      lockFd: expect.any(Number) as number,
      limitMs: 4_711,
      env: { A: '1', B: '2' },
    });
    expect(stage.events.slice(3)).toEqual(['reloading', 'hold', `stop ${Number.MAX_SAFE_INTEGER} succeeded`]);
    expect(loadRestart(dataDir)).toMatchObject({ status: 'succeeded', at: world.now() });
    // Who only serves those who are here keeps no other from the data directory.
    expect(lockIsFree(dataDir)).toBe(true);
    drain();
    await daemon;
    expect(existsSync(pidFile)).toBe(true); // it is the other's
    expect(lines()).toContain(
      'INFO  [PROCESS] SIGHUP: another process serves; this one ends when its last client has left',
    );
  });

  it('goes on when the new one does not come to serve, and keeps why', async () => {
    const { served, handlers, daemon, until, dataDir, world } = begin();
    await served();
    stage.successor = () => Promise.reject(new SuccessorFailure('line 3', 'exit-code=1', ['said last']));
    handlers().reload();
    await until('go on');
    await until('ready: serving; the last reload failed: line 3');
    expect(loadRestart(dataDir)).toEqual({
      status: 'failed',
      at: world.now(),
      reason: 'line 3',
      exitCode: 'exit-code=1',
      lastLines: ['said last'],
    });
    expect(lockIsFree(dataDir)).toBe(false);
    handlers().stop('SIGTERM');
    await daemon;
  });

  it('before all of it serves ends in its place when a service waited for what may never come', async () => {
    const { until, handlers, deps, drain, daemon } = begin();
    await until('services start');
    stage.successor = () => Promise.resolve(successor);
    handlers().reload();
    await new Promise((resolve) => setImmediate(resolve));
    expect(stage.events).not.toContain('hold');
    deps().onWait?.(new Map([['node', 'no route']]));
    await until(`stop ${Number.MAX_SAFE_INTEGER} succeeded`);
    drain();
    await daemon;
    expect(stage.events).not.toContain('ready: serving');
  });

  it('has a second one beside it when it is asked for that', async () => {
    const { served, handlers, daemon, until, lines } = begin();
    await served();
    stage.successor = () => Promise.resolve(successor);
    handlers().fork();
    await until('hold');
    await vi.waitFor(() => {
      expect(lines()).toContain(`INFO  [PROCESS] Process ${2 ** 30} has started.`);
    });
    expect(stage.events.some((one) => one.startsWith('stop'))).toBe(false);
    handlers().stop('SIGTERM');
    await daemon;
  });
});

describe('a daemon that takes over', () => {
  const ppids = (...values: number[]): void => {
    vi.spyOn(process, 'ppid', 'get').mockImplementation(() => values.shift() ?? 1);
  };

  it('says what goes wrong to the one before, serves, waits to be a child of process 1, and is ready', async () => {
    const { served, handlers, daemon, told, deps } = begin({ inheritance: { hasPredecessor: true } });
    ppids(7, 7, 7);
    await served();
    const sink = deps().logger('node');
    sink.warn('a warning');
    sink.error('an error');
    sink.info('not told');
    handlers().stop('SIGTERM');
    await daemon;
    expect(told).toEqual([
      { type: 'serving', pid: process.pid },
      { type: 'ready', pid: process.pid },
      { type: 'line', text: 'a warning' },
      { type: 'line', text: 'an error' },
    ]);
  });

  it('is ready after 2 s where it stays a child of the shell, and says what that costs', async () => {
    const { served, handlers, daemon, told, lines } = begin({ inheritance: { hasPredecessor: true } });
    vi.spyOn(process, 'ppid', 'get').mockReturnValue(7);
    let now = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 999));
    await served();
    clock.mockRestore();
    handlers().stop('SIGTERM');
    await daemon;
    const line = { type: 'line', text: expect.stringContaining('keeps the shell') as string };
    expect(told).toContainEqual(line);
    expect(lines()[0]).toMatch(/^WARN {2}\[PROCESS\] the previous process keeps the shell/);
  });
});

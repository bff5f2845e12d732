import { existsSync, readFileSync, rmSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { CodedError } from '../../base/errors.ts';
import { begin, left, lockIsFree, ownBugs, stage } from './daemon-testing.ts';
import { runDaemon } from './daemon.ts';
import type { Inheritance } from './inheritance.ts';

describe('a daemon', () => {
  it('starts its services, serves, is the main process, and gives back all when it is told to end', async () => {
    const { served, handlers, daemon, pidFile, dataDir, lines, deps, streams } = begin();
    await served();
    expect(stage.events).toEqual(['signs of life: false', 'services start', 'ready: serving']);
    expect(readFileSync(pidFile, 'utf8')).toBe(String(process.pid));
    expect(deps()).toMatchObject({ programPath: ['own'] });
    expect(streams.tellTo.mock.calls.map(([, own]: unknown[]) => own)).toEqual([undefined]);
    expect(lockIsFree(dataDir)).toBe(false);
    handlers().stop('SIGTERM');
    await daemon;
    expect(stage.events.slice(3)).toEqual(['stopping', 'stop 0 none', ...left]);
    expect([existsSync(pidFile), lockIsFree(dataDir)]).toEqual([false, true]);
    expect(lines()).toEqual(['INFO  [PROCESS] SIGTERM: stopping']);
  });

  it('serves who is here for as long as it may when it drains, and reminds of them', async () => {
    const { served, handlers, daemon, drain, lines, until } = begin();
    await served();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    handlers().drain('SIGQUIT');
    await vi.advanceTimersByTimeAsync(9_999);
    expect(stage.events).toContain(`stop ${Number.MAX_SAFE_INTEGER} none`);
    await vi.advanceTimersByTimeAsync(1);
    drain();
    await vi.advanceTimersByTimeAsync(0);
    vi.useRealTimers();
    await daemon;
    await until('signals are left');
    expect(lines()).toEqual([
      'INFO  [PROCESS] SIGQUIT: stopping when the last client has left',
      'INFO  [PROCESS] this process still serves clients that were connected before node=2',
      'INFO  [PROCESS] the last client has left',
    ]);
  });

  it('drains no longer than it is told to, and is cut short by TERM', async () => {
    const { served, handlers, daemon, until } = begin({ changes: { shutdownLimitMs: 5_000 } });
    await served();
    handlers().drain('SIGQUIT');
    await until('stop 5000 none');
    handlers().stop('SIGTERM');
    await daemon;
    expect(stage.events).toContain('stop 0 none');
  });

  it('lets balancers leave before it refuses anybody, where it is told how long they take', async () => {
    const { served, handlers, daemon, drain, until, lines } = begin({ changes: { drainNoticeMs: 5_000 } });
    await served();
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
    handlers().drain('SIGQUIT');
    await vi.advanceTimersByTimeAsync(4_999);
    expect(stage.events.slice(3)).toEqual(['stopping', 'leave']);
    await vi.advanceTimersByTimeAsync(1);
    expect(stage.events.slice(5)).toEqual([`stop ${Number.MAX_SAFE_INTEGER} none`]);
    drain();
    await vi.advanceTimersByTimeAsync(0);
    vi.useRealTimers();
    await daemon;
    await until('signals are left');
    expect(lines()[0]).toContain('/readyz answers 503 from now on');
    expect(lines()[0]).toContain('seconds=5');
  });

  it('does not wait for balancers when TERM follows, and by TERM alone never', async () => {
    for (const first of ['drain', 'stop'] as const) {
      const { served, handlers, daemon } = begin({ changes: { drainNoticeMs: 3_600_000 } });
      await served();
      stage.events = [];
      if (first === 'drain') {
        handlers().drain('SIGQUIT');
        await vi.waitFor(() => {
          expect(stage.events).toContain('leave');
        });
      }
      handlers().stop('SIGTERM');
      await daemon;
      expect(stage.events.includes('leave')).toBe(first === 'drain');
      expect(stage.events).toContain('stop 0 none');
    }
  });

  it('ends at once when it is told to before it serves', async () => {
    const { handlers, daemon, until, pidFile, dataDir } = begin();
    await until('services start');
    handlers().stop('SIGTERM');
    await daemon;
    expect(stage.events).toEqual(['signs of life: false', 'services start', ...left]);
    expect([existsSync(pidFile), lockIsFree(dataDir)]).toEqual([false, true]);
  });

  it('says why its services cannot start, and leaves nothing behind', async () => {
    const { daemon, until, failServing, told, dataDir, lines } = begin();
    await until('services start');
    failServing(new CodedError('misconfigured', 'the port is in use'));
    await expect(daemon).rejects.toThrow('the port is in use');
    expect(lines()).toEqual(['ERROR [PROCESS] initialization failed: the port is in use']);
    expect(told).toEqual([{ type: 'failed', reason: 'the port is in use' }]);
    expect(stage.events.slice(2)).toEqual(left);
    expect(lockIsFree(dataDir)).toBe(true);
  });

  it('does not start with a configuration that cannot be read, and tells a predecessor', async () => {
    const told: unknown[] = [];
    const unread = runDaemon(
      () => {
        throw new CodedError('misconfigured', 'line 3');
      },
      { tell: (message: unknown) => told.push(message) } as unknown as Inheritance,
      {} as never,
    );
    await expect(unread).rejects.toThrow('line 3');
    expect(told).toEqual([{ type: 'failed', reason: 'line 3' }]);
  });

  it('closes the listeners that it inherited and does not want, and says which', async () => {
    const { served, handlers, daemon, lines } = begin({
      inheritance: { closeRest: () => ['node 10.0.0.1:22'], warning: 'LISTEN_FDS is not a number' },
    });
    await served();
    handlers().stop('SIGTERM');
    await daemon;
    expect(lines().slice(0, 2)).toEqual([
      'WARN  [PROCESS] LISTEN_FDS is not a number',
      'INFO  [PROCESS] a listener was closed that the configuration no longer has listener="node 10.0.0.1:22"',
    ]);
  });

  it('tells what it is doing when it is asked, and opens its log again', async () => {
    const { served, handlers, daemon, teleport, log } = begin();
    await served();
    rmSync(log, { force: true });
    handlers().diagnose();
    expect(stage.diagnosed).toEqual([expect.objectContaining({ teleport, older: [], newer: [] }) as object]);
    handlers().stop('SIGTERM');
    await daemon;
    expect(existsSync(log)).toBe(true);
  });

  it('logs its bugs, and ends by one that nothing caught', async () => {
    const { served, handlers, lines, until } = begin();
    await served();
    for (const { name, listener } of ownBugs())
      listener(name === 'unhandledRejection' ? 'no error at all' : new Error('a bug'));
    await until('end 70'); // its log was closed by then
    expect(lines().slice(0, 2)).toEqual([
      'ERROR [PROCESS] an unhandled rejection: no error at all',
      expect.stringMatching(/^ERROR \[PROCESS\] an unhandled exception: Error: a bug\\u000a +at /),
    ]);
    handlers().stop('SIGTERM');
    await until('signals are left');
  });
});

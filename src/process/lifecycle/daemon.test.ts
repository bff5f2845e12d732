import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingSink } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { type Configuration, readConfiguration } from '../configuration/configuration.ts';
import type { startTeleport } from '../teleport.ts';
import { runDaemon } from './daemon.ts';
import { lockDataDir } from './data-dir-lock.ts';
import type { Inheritance, PredecessorMessage } from './inheritance.ts';
import { loadRestart } from './restart-record.ts';
import type { handleSignals } from './signals.ts';
import { type startSuccessor, type Successor, SuccessorFailure } from './successor.ts';

type Handlers = Parameters<typeof handleSignals>[0];
type SuccessorOptions = Parameters<typeof startSuccessor>[0];
type TeleportDeps = Parameters<typeof startTeleport>[1];

/** What a daemon moves, and what became of it, in order. */
const stage = vi.hoisted(() => ({
  events: [] as string[],
  handlers: undefined as unknown,
  teleport: undefined as unknown,
  successor: (_options: unknown): Promise<unknown> => Promise.reject(new Error('not set')),
  start: (_deps: unknown): Promise<unknown> => Promise.reject(new Error('not set')),
  diagnosed: [] as unknown[],
}));
vi.mock('../teleport.ts', () => ({
  startTeleport: (_: unknown, deps: unknown) => stage.start(deps),
}));
vi.mock('./signals.ts', () => ({
  handleSignals: (handlers: unknown) => {
    stage.handlers = handlers;
    return () => stage.events.push('signals are left');
  },
}));
vi.mock('./successor.ts', async (original) => ({
  ...(await original<object>()),
  startSuccessor: (options: unknown) => stage.successor(options),
}));
vi.mock('./service-manager.ts', () => {
  const tell = (text: string): Promise<void> => {
    stage.events.push(text);
    return Promise.resolve();
  };
  return {
    serviceManager: () => ({
      listens: true,
      ready: (status: string) => tell(`ready: ${status}`),
      reloading: () => tell('reloading'),
      stopping: () => tell('stopping'),
      status: (text: string) => tell(`status: ${text}`),
      extend: () => Promise.resolve(),
      keepAlive: (alive: () => boolean) => {
        stage.events.push(`signs of life: ${alive()}`);
        return () => stage.events.push('no signs of life');
      },
    }),
  };
});
vi.mock('../diagnostics/diagnose.ts', () => ({
  diagnose: (_: unknown, of: unknown) => {
    stage.diagnosed.push(of);
    return Promise.resolve();
  },
}));
vi.mock('./whose-container.ts', () => ({ whyNoneTakesOver: () => undefined }));
vi.mock('../../base/end-process.ts', () => ({
  endProcess: (status: number) => stage.events.push(`end ${status}`),
}));

let dir = '';
const bugs = ['unhandledRejection', 'uncaughtException'] as const;
let before: Map<string, Function[]>; // eslint-disable-line @typescript-eslint/no-unsafe-function-type -- as the runtime has it
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'daemon-'));
  stage.events = [];
  stage.diagnosed = [];
  before = new Map(bugs.map((name) => [name, process.listeners(name as 'exit')]));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const one of ownBugs()) process.off(one.name, one.listener);
  rmSync(dir, { recursive: true });
});
const ownBugs = () =>
  bugs.flatMap((name) =>
    process
      .listeners(name as 'exit')
      .filter((one) => before.get(name)?.includes(one) !== true)
      .map((listener) => ({ name, listener: listener as (e: unknown) => void })),
  );

interface Wish {
  readonly changes?: Partial<Configuration>;
  readonly inheritance?: Partial<Inheritance>;
}

/** A daemon that has begun; its services serve, and stop, when the test says so. */
function begin({ changes = {}, inheritance = {} }: Wish = {}) {
  const serving = Promise.withResolvers<undefined>();
  const drained = Promise.withResolvers<undefined>();
  let deps: TeleportDeps | undefined;
  const teleport = {
    serving: serving.promise,
    hold: () => {
      stage.events.push('hold');
      return () => stage.events.push('go on');
    },
    handOver: () => [{ name: 'node', addr: '127.0.0.1:0', fd: 33 }],
    waitsFor: () => Promise.resolve({ node: 2 }),
    health: () => ({ status: 'ok' as const, text: 'serving' }),
    stop: (ms: number, succession: string) => {
      stage.events.push(`stop ${ms} ${succession}`);
      if (ms === 0) drained.resolve(undefined);
      return drained.promise;
    },
  };
  stage.start = (given) => {
    deps = given as TeleportDeps;
    stage.events.push('services start');
    return Promise.resolve(teleport);
  };
  const told: PredecessorMessage[] = [];
  const log = join(dir, 'log');
  const world = fakeWorld();
  const streams = { tellTo: vi.fn(), flushed: () => Promise.resolve(true) };
  const dataDir = join(dir, 'data');
  const pidFile = join(dir, 'pid');
  const yaml = `teleport: {data_dir: ${dataDir}, pid_file: ${pidFile}, log: {output: ${log}}}`;
  const daemon = runDaemon(
    () => ({
      ...readConfiguration({ configString: Buffer.from(yaml).toString('base64') }, {}),
      ...{ restartLimitMs: 4_711, ...changes },
    }),
    {
      ...{ hasPredecessor: false, lock: undefined, warning: undefined, take: () => undefined },
      closeRest: () => [],
      tell: (message) => told.push(message),
      ...inheritance,
    },
    {
      ...{ world, print: () => undefined, programPath: ['own'], commandLine: ['teleport', 'start'] },
      ...{ env: { A: '1', B: '1' }, forSuccessor: { B: '2' }, streams },
    },
  );
  daemon.catch(() => undefined);
  const until = (text: string) =>
    vi.waitFor(() => {
      expect(stage.events).toContain(text);
    });
  return {
    ...{ daemon, teleport, told, world, dataDir, pidFile, until, streams, log },
    deps: () => deps as TeleportDeps,
    handlers: () => stage.handlers as Handlers,
    served: async () => {
      await until('services start');
      serving.resolve(undefined);
      await vi.waitFor(() => {
        expect(told).toContainEqual({ type: 'ready', pid: process.pid });
      });
    },
    failServing: (e: unknown) => {
      serving.reject(e);
    },
    drain: () => {
      drained.resolve(undefined);
    },
    lines: () =>
      readFileSync(log, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/^\S+ +/, '')),
  };
}
const lockIsFree = (dataDir: string): boolean => {
  try {
    lockDataDir(dataDir, { inherited: undefined, hasPredecessor: false, sink: recordingSink() }).release();
    return true;
  } catch {
    return false;
  }
};
/** Gives up all that a daemon has of the machine, whatever comes. */
const left = ['no signs of life', 'signals are left'];

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
    expect(stage.diagnosed).toEqual([
      expect.objectContaining({ teleport, older: [], newer: [] }) as object,
    ]);
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

describe('a daemon that is to be replaced', () => {
  // Whom it signals is not there.
  const successor: Successor = { pid: 2 ** 30, startTime: '1', ended: new Promise(() => undefined) };

  it('gives its listeners and its lock to the new one, and serves who is here until they leave', async () => {
    const { served, handlers, daemon, until, drain, dataDir, pidFile, lines, world } = begin();
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
    expect(stage.events.slice(3)).toEqual([
      'reloading',
      'hold',
      `stop ${Number.MAX_SAFE_INTEGER} succeeded`,
    ]);
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

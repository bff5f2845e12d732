import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, type Mock, vi } from 'vitest';
import { type FakeWorld, fakeWorld, recordingSink } from '../../api/testing.ts';
import { type Configuration, readConfiguration } from '../configuration/configuration.ts';
import type { startTeleport } from '../teleport.ts';
import { runDaemon } from './daemon.ts';
import { lockDataDir } from './data-dir-lock.ts';
import type { Inheritance, PredecessorMessage } from './inheritance.ts';
import type { handleSignals } from './signals.ts';

type Handlers = Parameters<typeof handleSignals>[0];
type TeleportDeps = Parameters<typeof startTeleport>[1];

/** What a daemon moves, and what became of it, in order. */
const stage = vi.hoisted(() => ({
  events: [] as string[],
  handlers: undefined as unknown as Handlers,
  successor: undefined as unknown as (options: unknown) => Promise<unknown>,
  start: undefined as unknown as (deps: unknown) => Promise<unknown>,
  diagnosed: [] as unknown[],
}));
vi.mock('../teleport.ts', () => ({
  startTeleport: (_: unknown, deps: unknown) => stage.start(deps),
}));
vi.mock('./signals.ts', () => ({
  handleSignals: (handlers: unknown) => {
    stage.handlers = handlers as Handlers;
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
interface BugListener {
  readonly name: (typeof bugs)[number];
  readonly listener: (e: unknown) => void;
}
/** What the daemon has set up for its bugs, without what the test runner had before. */
export const ownBugs = (): readonly BugListener[] =>
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

/** A daemon, what it was given, and what moves it. */
interface Begun {
  readonly daemon: Promise<void>;
  readonly teleport: object;
  /** What its predecessor was told. */
  readonly told: readonly PredecessorMessage[];
  readonly world: FakeWorld;
  readonly dataDir: string;
  readonly pidFile: string;
  readonly log: string;
  readonly streams: { readonly tellTo: Mock };
  /** Waits for an event of the stage. */
  readonly until: (event: string) => Promise<void>;
  readonly deps: () => TeleportDeps;
  readonly handlers: () => Handlers;
  /** Lets it serve, and waits until it does. */
  readonly served: () => Promise<void>;
  readonly failServing: (e: unknown) => void;
  readonly drain: () => void;
  /** What its log has, without the time. */
  readonly lines: () => readonly string[];
}

/** A daemon that has begun; its services serve, and stop, when the test says so. */
export function begin({ changes = {}, inheritance = {} }: Wish = {}): Begun {
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
    leave: () => stage.events.push('leave'),
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
    deps: () => {
      if (deps === undefined) throw new Error('the services have not started');
      return deps;
    },
    handlers: () => stage.handlers,
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
export const lockIsFree = (dataDir: string): boolean => {
  try {
    lockDataDir(dataDir, { inherited: undefined, hasPredecessor: false, sink: recordingSink() }).release();
    return true;
  } catch {
    return false;
  }
};
/** Gives up all that a daemon has of the machine, whatever comes. */
export const left = ['no signs of life', 'signals are left'];

export { stage };

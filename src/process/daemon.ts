import { pause } from '../base/backoff.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import { ensurePrivateDirectory } from '../base/files.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { Configuration } from './configuration.ts';
import { diagnose } from './diagnose.ts';
import { joinGenerations } from './generations.ts';
import type { ProcessRef } from '../base/process-ref.ts';
import type { Inheritance } from './inheritance.ts';
import { Lifecycle } from './lifecycle.ts';
import { type Logger, openLogger } from './logger.ts';
import { openSecrets } from './open-secrets.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { saveRestart } from './restart-record.ts';
import { serviceManager } from './service-manager.ts';
import { handleSignals } from './signals.ts';
import { warnOnStandardError } from './standard-error.ts';
import { startSuccessor, SuccessorFailure } from './successor.ts';
import { findSystemLog } from './system-log.ts';
import { startTeleport, type TeleportProcess } from './teleport.ts';

export interface DaemonDeps {
  readonly world: World;
  /** Receives the start lines users of 4.4 know. */
  readonly print: (line: string) => void;
  /** argv that runs our own hidden commands. */
  readonly programPath: readonly string[];
  /** By which a successor is started: unresolved, so that what is on disk then counts. */
  readonly commandLine: readonly string[];
  /** Of this process; what a predecessor left in it was taken out. */
  readonly env: NodeJS.ProcessEnv;
  /** What a successor needs besides. */
  readonly forSuccessor: NodeJS.ProcessEnv;
}

const noLimitMs = Number.MAX_SAFE_INTEGER;
/** For a predecessor that is itself ending, or of a release that does not know of it. */
const releaseLimitMs = 2_000;

/**
 * Serves until a signal ends this process; hands over to successors meanwhile. Resolves after an orderly end.
 * @throws CodedError when it cannot start; nothing is left behind then, and a predecessor that waits was told.
 */
export async function runDaemon(
  readConfiguration: () => Configuration,
  inheritance: Inheritance,
  deps: DaemonDeps,
): Promise<void> {
  try {
    const configuration = readConfiguration();
    const { logger, close } = openLogger(configuration.log);
    try {
      await serve(configuration, deps, { inheritance, logger: telling(logger, inheritance), close });
    } finally {
      await close();
    }
  } catch (e) {
    inheritance.tell({ type: 'failed', reason: messageOf(e) });
    throw e;
  }
}

interface Standing {
  readonly inheritance: Inheritance;
  readonly logger: Logger;
  readonly close: () => Promise<void>;
}

async function serve(configuration: Configuration, deps: DaemonDeps, standing: Standing): Promise<void> {
  const { inheritance, logger, close } = standing;
  const { dataDir, pidFile } = configuration;
  const sink = logger('process');
  reportBugs(sink, close);
  if (inheritance.warning !== undefined) sink.warn(inheritance.warning);
  for (const warning of openSecrets(configuration)) warnOnStandardError(warning, sink, configuration.log);
  ensurePrivateDirectory(dataDir);
  const generations = joinGenerations(dataDir, deps.commandLine);
  const manager = serviceManager(deps.env, sink);
  let teleport: TeleportProcess | undefined;
  /** Whether the pid file and systemd name this process, and whether it ever came to serve. */
  const role = { main: false, served: false };
  const beMain = async (status: string): Promise<void> => {
    role.main = true;
    role.served = true;
    writePidFile(pidFile);
    await manager.ready(status);
  };
  const lifecycle = new Lifecycle({
    sink,
    older: () => generations.older(),
    newer: () => generations.newer(),
    signal: (ref, name) => {
      send(ref, name, sink);
    },
    startSuccessor: async (cancelled) => {
      const letGoOn = teleport?.hold();
      try {
        return await startSuccessor({
          commandLine: deps.commandLine,
          listeners: teleport?.handOver() ?? [],
          limitMs: configuration.restartLimitMs,
          env: { ...deps.env, ...deps.forSuccessor },
          cancelled,
        });
      } catch (e) {
        letGoOn?.();
        throw e;
      }
    },
    tell: {
      // Before it is ready systemd knows of no reload.
      reloading: () => void (role.served ? manager.reloading() : undefined),
      failed: (e) => {
        saveRestart(dataDir, { status: 'failed', at: deps.world.now(), ...reasonOf(e) }, sink);
        if (role.main) void manager.ready(`serving; the last reload failed: ${messageOf(e)}`);
        else if (!role.served) void manager.status(`starting; the last reload failed: ${messageOf(e)}`);
      },
      succeeded: () => {
        role.main = false;
        saveRestart(dataDir, { status: 'succeeded', at: deps.world.now() }, sink);
      },
      main: () => void beMain('serving'),
    },
  });
  const unhandle = handleSignals({
    stop: (reason) => {
      lifecycle.stop(reason);
    },
    drain: (reason) => {
      lifecycle.drain(reason);
    },
    reload: () => {
      lifecycle.reload();
    },
    fork: () => {
      lifecycle.fork();
    },
    diagnose: () => {
      const systemLog = findSystemLog(configuration.log, deps.env);
      void diagnose(sink, {
        teleport,
        older: generations.older(),
        newer: generations.newer(),
        systemLog,
      });
    },
  });
  const stopSigns = manager.keepAlive(() => role.main);
  try {
    teleport = await startTeleport(configuration, {
      ...deps,
      logger,
      inheritance,
      onWait: (waits) => {
        lifecycle.waits(waits);
      },
    });
    const { serving } = teleport;
    serving.catch(() => undefined); // asked for below, unless an ending comes first
    const ended = await Promise.race([serving, lifecycle.ending]);
    // The services of a process that never served hold nothing that its end does not give back.
    if (ended?.how === 'at-once') return;
    if (ended !== undefined) {
      // Another process came to serve in its place.
      await end(teleport, lifecycle, { configuration, sink, stopping: () => undefined });
      return;
    }
    for (const one of inheritance.closeRest())
      sink.info('a listener that is configured no more was closed', { listener: one });
    await beChildOfInit(inheritance, sink);
    await beMain('serving');
    inheritance.tell({ type: 'ready', pid: process.pid });
    lifecycle.serving();
    await end(teleport, lifecycle, {
      configuration,
      sink,
      stopping: () => (role.main ? manager.stopping() : undefined),
    });
    if (role.main) removePidFile(pidFile);
  } catch (e) {
    lifecycle.fail();
    if (isCoded(e)) sink.error(`initialization failed: ${e.message}`);
    throw e;
  } finally {
    stopSigns();
    unhandle();
    generations.leave();
  }
}

/** Until the shell is gone by which the predecessor started us: systemd watches only over what is its own child. */
async function beChildOfInit(inheritance: Inheritance, sink: LogSink): Promise<void> {
  if (!inheritance.hasPredecessor) return;
  const { ppid: shell } = process;
  inheritance.tell({ type: 'serving', pid: process.pid });
  const end = performance.now() + releaseLimitMs;
  while (process.ppid === shell) {
    if (performance.now() > end) {
      sink.warn(
        'the process before keeps the shell by which it started this one: systemd may not see when this one dies',
      );
      return;
    }
    await pause(5);
  }
}

async function end(
  teleport: TeleportProcess,
  lifecycle: Lifecycle,
  deps: { configuration: Configuration; sink: LogSink; stopping: () => Promise<void> | undefined },
): Promise<void> {
  const { configuration, sink, stopping } = deps;
  const ending = await lifecycle.ending;
  await stopping();
  if (ending.how === 'at-once') {
    sink.info(`${ending.reason}: stopping`);
    await teleport.stop(0, 'none');
    return;
  }
  sink.info(
    ending.succeeded
      ? `${ending.reason}: another process serves; this one ends when its last client has left`
      : `${ending.reason}: stopping when the last client has left`,
  );
  const { shutdownLimitMs } = configuration;
  const stopped = teleport.stop(
    shutdownLimitMs === 0 ? noLimitMs : shutdownLimitMs,
    ending.succeeded ? 'succeeded' : 'none',
  );
  const reminder = setInterval(() => {
    void teleport.waitsFor().then((clients) => {
      sink.info('still serves those who were here', clients);
    });
  }, 10_000);
  reminder.unref();
  // A TERM in the middle ends it at once.
  void lifecycle.atOnce.then(() => teleport.stop(0, ending.succeeded ? 'succeeded' : 'none'));
  await stopped;
  clearInterval(reminder);
  sink.info('the last client has left');
}

function send(ref: ProcessRef, name: NodeJS.Signals, sink: LogSink): void {
  try {
    process.kill(ref.pid, name);
  } catch (e) {
    sink.warn(`${name} was not sent`, { pid: ref.pid, reason: messageOf(e) });
  }
}

const reasonOf = (
  e: unknown,
): { readonly reason: string; readonly exitCode: string; readonly lastLines: readonly string[] } => ({
  reason: messageOf(e),
  exitCode: e instanceof SuccessorFailure ? e.exitCode : '',
  lastLines: e instanceof SuccessorFailure ? e.lastLines : [],
});

/** What goes wrong before we serve is told to whoever waits for us, which outlives us. */
function telling(logger: Logger, inheritance: Inheritance): Logger {
  if (!inheritance.hasPredecessor) return logger;
  const tell = (message: string): void => {
    inheritance.tell({ type: 'line', text: message });
  };
  return (component) => {
    const sink = logger(component);
    return {
      ...sink,
      warn: (message, fields) => {
        tell(message);
        sink.warn(message, fields);
      },
      error: (message, fields) => {
        tell(message);
        sink.error(message, fields);
      },
    };
  };
}

function reportBugs(sink: LogSink, close: () => Promise<void>): void {
  const bug = (kind: string) => (e: unknown) => {
    sink.error(`${kind}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
  };
  process.on('unhandledRejection', bug('a failure that nobody handled'));
  process.on('uncaughtException', (e) => {
    bug('an exception that nobody handled')(e);
    void close().finally(() => process.exit(70));
  });
}
